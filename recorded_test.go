package ami_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// pipelined are the recordings whose client did not wait for each answer.
var pipelined = map[string]bool{"4-logoff-pipelined": true, "4-originate-sync-blocks-ping": true}

// recordedActions returns what the recorded client sent after its login. One
// without ActionID cannot be matched to its answer and is left out.
func recordedActions(t *testing.T, name string) (login action.Generic, rest []action.Generic) {
	t.Helper()
	r := frame.NewReader(strings.NewReader(string(captures.Client(name))), frame.Limits{})
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		a := action.Custom(f.Get("Action"))
		for key, value := range f.All() {
			if !strings.EqualFold(key, "Action") && !strings.EqualFold(key, "ActionID") {
				a = a.With(key, value)
			}
		}
		switch a.Name() {
		case "Login":
			login = a
		case "Challenge":
		default:
			rest = append(rest, a)
		}
	}
	return login, rest
}

func replay(name string) amitest.Option {
	var chunks []amitest.Chunk
	for _, c := range captures.Timeline(name) {
		chunks = append(chunks, amitest.Chunk(c))
	}
	return amitest.WithReplay(chunks, false)
}

// outcome puts what Send returned into a few words.
func outcome(r *ami.Response, err error) string {
	if e, ok := errors.AsType[*ami.ActionError](err); ok {
		s := "error " + e.Message
		if n := len(e.Response.Output()); n > 0 {
			s += fmt.Sprintf(", %d lines", n)
		}
		return s
	}
	if e, ok := errors.AsType[*ami.ConnError](err); ok {
		return fmt.Sprintf("session ended, sent %v", e.Sent)
	}
	if err != nil {
		return err.Error()
	}
	s := r.Frame.Name()
	if r.End != nil {
		s += fmt.Sprintf(", %d items, %s", len(r.Items), r.End.Name())
		if response := r.End.Get("Response"); response != "" {
			s += " " + response + " " + r.End.Get("Reason")
		}
	}
	if n := len(r.Output()); n > 0 {
		s += fmt.Sprintf(", %d lines", n)
	}
	return s
}

// TestRecordedConversations replays real Asterisk servers to the client: each
// action must have the outcome that it had (B7, C2, C4, C9, D3).
func TestRecordedConversations(t *testing.T) {
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"1-login-md5", []string{"Goodbye"}},
		{"2-ping", []string{"Success", "Goodbye"}},
		{"2-coresettings", []string{"Success", "Goodbye"}},
		{"2-listcommands", []string{"Success", "Goodbye"}},
		{"2-command-restricted", []string{"error Permission denied", "Goodbye"}},
		{"2-command-unknown", []string{"error Command output follows, 1 lines", "Goodbye"}},
		{"2-command-core-show-application-dial", []string{"Success, 593 lines", "Goodbye"}},
		{"2-command-empty-output", []string{"Success, 1 lines", "Goodbye"}},
		{"3-coreshowchannels-0", []string{"Success, 0 items, CoreShowChannelsComplete", "Goodbye"}},
		{"3-coreshowchannels", []string{"Success, 28 items, CoreShowChannelsComplete", "Goodbye"}},
		{"3-status-0", []string{"Success, 0 items, StatusComplete", "Goodbye"}},
		{"3-status", []string{"Success, 28 items, StatusComplete", "Goodbye"}},
		{"3-status-nochannel", []string{"error No such channel", "Goodbye"}},
		{"3-queuestatus", []string{"Success, 10 items, QueueStatusComplete", "Goodbye"}},
		{"3-queuestatus-unknown", []string{"Success, 0 items, QueueStatusComplete", "Goodbye"}},
		{"3-queuerule", []string{"Success", "Goodbye"}},
		{"3-agents", []string{"Success, 3 items, AgentsComplete", "Goodbye"}},
		{"3-confbridgelist", []string{"Success, 2 items, ConfbridgeListComplete", "Goodbye"}},
		{"3-confbridgelist-nosuch", []string{"Error", "Goodbye"}}, // an empty list,
		{"3-voicemailuserslist", []string{"Success, 3 items, VoicemailUserEntryComplete", "Goodbye"}},
		{"3-iaxpeers", []string{"Success, 2 items, PeerlistComplete", "Goodbye"}},
		{"3-iaxnetstats", []string{"Goodbye"}},
		{"3-dbget", []string{"Success, 1 items, DBGetComplete", "Goodbye"}},
		{"3-dbget-nosuch", []string{"Error", "Goodbye"}}, // an empty list,
		{"4-originate-sync", []string{"Success", "Goodbye"}},
		{"4-originate-async", []string{"Success, 0 items, OriginateResponse Success 4", "Goodbye"}},
		{"4-originate-async-busy", []string{"Success, 0 items, OriginateResponse Failure 5", "Goodbye"}},
		{"4-originate-sync-blocks-ping", []string{"error Originate failed", "Success", "Goodbye"}},
		{"4-originate-bad-exten", []string{
			"error Originate failed", "error Originate failed", "error Extension does not exist.",
			"error Originate with 'Exten' requires 'Context' and 'Priority'", "error Channel not specified", "Success",
			"error Invalid priority", "error Invalid timeout", "error Invalid channel", "Goodbye",
		}},
		{"4-redirect", []string{"Success", "error Channel does not exist: Local/none-1;1", "Success", "Goodbye"}},
		{"4-logoff-pipelined", []string{"Goodbye", "session ended, sent true"}},
		{"9-v18-ping", []string{"Success", "Goodbye"}},
		{"9-v18-command-unknown", []string{"error Command output follows, 1 lines", "Goodbye"}},
		{"9-v20-ping", []string{"Success", "Goodbye"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(replay(tc.name))
				defer srv.Close()
				_, actions := recordedActions(t, tc.name)
				if tc.name == "3-iaxnetstats" {
					actions = actions[:1] // the Ping that marks its end takes the place of the Logoff
				}
				n := node(srv)
				if tc.name == "1-login-md5" {
					n.Auth = ami.AuthMD5
				}
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
				require.NoError(t, err)
				defer c.Close()
				var got []string
				if pipelined[tc.name] {
					var pending []*ami.Pending
					for _, a := range actions {
						pending = append(pending, c.Start(t.Context(), a))
					}
					for _, p := range pending {
						got = append(got, outcome(p.Result()))
					}
				} else {
					for _, a := range actions {
						got = append(got, outcome(c.Send(t.Context(), a)))
					}
				}
				require.Equal(t, tc.want, got)
				require.Zero(t, c.Stats().Pending)
			})
		})
	}
}

// TestRecordedErrors replays conversations in which most actions fail.
func TestRecordedErrors(t *testing.T) { // C4
	for _, name := range []string{"4-originate-bad-exten", "4-redirect", "4-hangup", "4-queue-actions", "8-pjsip-showendpoint"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(replay(name))
				defer srv.Close()
				c, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext))
				require.NoError(t, err)
				defer c.Close()
				want := recordedMessages(t, name)
				_, actions := recordedActions(t, name)
				ids := recordedIDs(t, name)
				require.Len(t, actions, len(ids))
				for i, a := range actions {
					p := c.Start(t.Context(), a)
					if ids[i] == "" {
						continue // the answer has no ActionID either
					}
					_, err := p.Result()
					if message, failed := want[ids[i]]; failed {
						e, ok := errors.AsType[*ami.ActionError](err)
						require.True(t, ok, "%s: %v", ids[i], err)
						require.Equal(t, message, e.Message)
					} else {
						require.NoError(t, err, ids[i])
					}
				}
			})
		})
	}
}

// recordedMessages returns the message of every Error by its ActionID.
func recordedMessages(t *testing.T, name string) map[string]string {
	t.Helper()
	r := frame.NewReader(strings.NewReader(string(captures.Server(name))), frame.Limits{})
	_, err := r.Banner()
	require.NoError(t, err)
	messages := map[string]string{}
	for {
		f, err := r.Next()
		if err != nil {
			return messages
		}
		if f.Kind() == frame.Response && f.Name() == "Error" {
			messages[f.Get("ActionID")] = strings.TrimSpace(f.Get("Message"))
		}
	}
}

func recordedIDs(t *testing.T, name string) (ids []string) {
	t.Helper()
	r := frame.NewReader(strings.NewReader(string(captures.Client(name))), frame.Limits{})
	for {
		f, err := r.Next()
		if err != nil {
			return ids
		}
		if a := f.Get("Action"); a != "Login" && a != "Challenge" {
			ids = append(ids, f.Get("ActionID"))
		}
	}
}

// TestRecordedLogins replays logins that were refused (D3).
func TestRecordedLogins(t *testing.T) {
	for _, tc := range []struct {
		name string
		auth ami.Auth
		says string // "": the login succeeds
	}{
		{"1-login-ok", ami.AuthPlain, ""},
		{"1-login-md5", ami.AuthMD5, ""},
		{"9-v18-login-md5", ami.AuthMD5, ""},
		{"1-login-wrong-secret", ami.AuthPlain, `Asterisk says "Authentication failed"`},
		{"1-login-unknown-user", ami.AuthPlain, `Asterisk says "Authentication failed"`},
		{"1-login-md5-wrong", ami.AuthMD5, `Asterisk says "Authentication failed"`},
		{"1-login-acl-denied", ami.AuthPlain, `Asterisk says "Authentication failed"`},
		{"7-single-second", ami.AuthPlain, `Asterisk says "Login Already In Use"`},
		{"9-v18-login-wrong-secret", ami.AuthPlain, `Asterisk says "Authentication failed"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(replay(tc.name))
				defer srv.Close()
				n := node(srv)
				n.Auth = tc.auth
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
				if tc.says == "" {
					require.NoError(t, err)
					require.NoError(t, c.Close())
					return
				}
				require.ErrorIs(t, err, ami.ErrAuth)
				require.ErrorContains(t, err, tc.says)
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok)
				require.Equal(t, "login", e.Op)
			})
		})
	}
}

// TestRecordedEnds replays sessions that Asterisk ended (D5, E7).
func TestRecordedEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		is   error
	}{
		{"7-kick-session", nil},
		{"7-core-restart-now-events", ami.ErrShutdown},
		{"7-core-stop-gracefully-events", ami.ErrShutdown},
		{"9-v20-graceful-stop", ami.ErrShutdown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(replay(tc.name))
				defer srv.Close()
				c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext))
				require.NoError(t, err)
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				for change := range c.StateChanges(t.Context()) {
					if change.From == ami.Ready {
						e, ok := errors.AsType[*ami.ConnError](change.Reason)
						require.True(t, ok, "%v", change.Reason)
						require.Equal(t, "session", e.Op)
						if tc.is != nil {
							require.ErrorIs(t, e, tc.is)
						}
						break
					}
				}
				require.NoError(t, c.Close())
				require.NoError(t, <-done)
			})
		})
	}
}

// TestRecordedFlood: 20,001 events arrive in order, none lost (F2, E6).
func TestRecordedFlood(t *testing.T) {
	stream := captures.Server("6-flood-userevent-only-20000")
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithReplay([]amitest.Chunk{
			{Bytes: []byte("Action: Login\r\nActionID: login-1\r\n\r\n")},
			{Server: true, Bytes: stream},
		}, false))
		defer srv.Close()
		c, err := ami.New(node(srv), ami.WithDialer(srv.DialContext), ami.WithEventQueue(30_000))
		require.NoError(t, err)
		sub := c.Subscribe(ami.Buffer(30_000))
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		var seq uint64
		n := 0
		for e, err := range sub.All(t.Context()) {
			require.NoError(t, err)
			require.Zero(t, e.Lost)
			require.Equal(t, seq+1, e.Seq)
			seq = e.Seq
			if n++; n == 20_001 {
				break
			}
		}
		require.Zero(t, sub.Dropped())
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
}
