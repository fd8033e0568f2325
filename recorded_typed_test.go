package ami_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// call is ami.Call without its type, for a table; check gets the result.
func call[R any](a action.Typed[R], check func(t *testing.T, r R)) func(*testing.T, context.Context, ami.Sender) {
	return func(t *testing.T, ctx context.Context, s ami.Sender) {
		t.Helper()
		r, err := ami.Call(ctx, s, a)
		require.NoError(t, err)
		check(t, r)
	}
}

// sequence makes several calls on one connection.
func sequence(calls ...func(*testing.T, context.Context, ami.Sender)) func(*testing.T, context.Context, ami.Sender) {
	return func(t *testing.T, ctx context.Context, s ami.Sender) {
		t.Helper()
		for _, c := range calls {
			c(t, ctx, s)
		}
	}
}

func length[T any](n int, first func(t *testing.T, e T)) func(*testing.T, []T) {
	return func(t *testing.T, list []T) {
		t.Helper()
		require.Len(t, list, n)
		if n > 0 {
			first(t, list[0])
		}
	}
}

// TestRecordedCalls: the answers of real servers come back as what they are
// (C2, C7, F1).
func TestRecordedCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		call func(*testing.T, context.Context, ami.Sender)
	}{
		{"3-coreshowchannels-0", call(action.CoreShowChannels{}, length[event.CoreShowChannel](0, nil))},
		{"3-coreshowchannels", call(action.CoreShowChannels{}, length(28, func(t *testing.T, e event.CoreShowChannel) {
			require.NotEmpty(t, e.Channel.Name)
			require.NotZero(t, e.Channel.State)
			require.Equal(t, "pbx1", e.Node)
			require.Empty(t, event.Invalid(&e))
		}))},
		{"3-status-0", call(action.Status{}, length[event.Status](0, nil))},
		{"3-status", call(action.Status{}, length(28, func(t *testing.T, e event.Status) { require.NotEmpty(t, e.Channel.UniqueID) }))},
		{"3-queuestatus", call(action.QueueStatus{}, func(t *testing.T, r action.QueueStatusResult) {
			require.Equal(t, 10, len(r.Params)+len(r.Members)+len(r.Entries))
			require.NotEmpty(t, r.Params)
			require.NotEmpty(t, r.Members)
			require.NotEmpty(t, r.Entries)
			require.NotEmpty(t, r.Members[0].Name)
		})},
		{"3-queuestatus-unknown", call(action.QueueStatus{Queue: "none"}, func(t *testing.T, r action.QueueStatusResult) {
			require.Empty(t, r.Params)
		})},
		{"3-queuesummary", call(action.QueueSummary{}, length(3, func(t *testing.T, e event.QueueSummary) { require.NotEmpty(t, e.Queue) }))},
		{"3-queuerule", call(action.QueueRule{}, length[action.QueueRuleList](0, nil))},
		{"3-parkedcalls", call(action.ParkedCalls{}, length(2, func(t *testing.T, e event.ParkedCall) {
			require.NotEmpty(t, e.ParkeeChannel.Name)
		}))},
		{"3-parkinglots", call(action.Parkinglots{}, length(2, func(t *testing.T, e event.Parkinglot) { require.NotEmpty(t, e.Name) }))},
		{"3-confbridgelist", call(action.ConfbridgeList{Conference: "1000"}, length(2, func(t *testing.T, e event.ConfbridgeList) {
			require.Equal(t, "1000", e.Conference)
		}))},
		{"3-confbridgelist-nosuch", call(action.ConfbridgeList{Conference: "9"}, length[event.ConfbridgeList](0, nil))},
		{"3-agents", call(action.Agents{}, length(3, func(t *testing.T, e event.Agents) { require.NotEmpty(t, e.Agent) }))},
		{"3-voicemailuserslist", call(action.VoicemailUsersList{}, length(3, func(t *testing.T, e event.VoicemailUserEntry) {
			require.NotEmpty(t, e.VMContext)
		}))},
		{"3-iaxpeers", call(action.IAXpeers{}, length(2, func(t *testing.T, e event.PeerEntry) { require.NotEmpty(t, e.ObjectName) }))},
		{"3-devicestatelist", call(action.DeviceStateList{}, length(19, func(t *testing.T, e event.DeviceStateChange) {
			require.NotEmpty(t, e.Device)
			require.NotEmpty(t, e.State.String())
		}))},
		{"3-presencestatelist", call(action.PresenceStateList{}, length[event.PresenceStateChange](0, nil))},
		{"3-extensionstatelist", call(action.ExtensionStateList{}, length(4, func(t *testing.T, e event.ExtensionStatus) {
			require.NotEmpty(t, e.Hint)
		}))},
		{"3-bridgelist", call(action.BridgeList{}, length(7, func(t *testing.T, e event.BridgeListItem) { require.NotEmpty(t, e.Bridge.UniqueID) }))},
		{"3-bridgeinfo", call(action.BridgeInfo{BridgeUniqueid: "x"}, func(t *testing.T, r action.BridgeInfoResult) {
			require.Len(t, r.Channels, 2)
			require.NotEmpty(t, r.Channels[0].Channel.Name)
			require.NotEmpty(t, r.Bridge.UniqueID)
			require.Equal(t, 2, r.Bridge.NumChannels)
		})},
		{"3-dbget", call(action.DBGet{Family: "fam", Key: "k1"}, length(1, func(t *testing.T, e event.DBGetResponse) {
			require.Equal(t, "k1", e.Key)
			require.NotEmpty(t, e.Val)
		}))},
		{"3-dbget-nosuch", call(action.DBGet{Family: "fam", Key: "none"}, length[event.DBGetResponse](0, nil))},
		{"3-dbgettree", call(action.DBGetTree{Family: "fam"}, length(3, func(t *testing.T, e event.DBGetTreeResponse) { require.NotEmpty(t, e.Key) }))},
		{"3-showdialplan-one", call(action.ShowDialPlan{Context: "hints"}, length(4, func(t *testing.T, e event.ListDialplan) {
			require.Equal(t, "hints", e.Context)
		}))},
		{"3-getconfig", call(action.GetConfig{Filename: "x.conf"}, func(t *testing.T, r action.GetConfigResult) {
			require.NotEmpty(t, r.Categories[0].Name)
			require.NotEmpty(t, r.Categories[0].Lines)
			require.NotEmpty(t, r.Categories[0].Lines[0].Name)
		})},
		{"3-mailboxcount", call(action.MailboxCount{Mailbox: "1"}, func(t *testing.T, r action.MailboxCountResult) {
			require.NotEmpty(t, r.Mailbox)
			require.Empty(t, r.Invalid)
		})},
		{"3-modulecheck", call(action.ModuleCheck{Module: "x"}, func(t *testing.T, r action.ModuleCheckResult) { require.Equal(t, "Success", r.Response.Name()) })},
		{"8-pjsip-list-aors", call(action.PJSIPShowAors{}, length(6, func(t *testing.T, e event.AorList) { require.NotEmpty(t, e.ObjectName) }))},
		{"8-pjsip-list-auths", call(action.PJSIPShowAuths{}, length(5, func(t *testing.T, e event.AuthList) { require.NotEmpty(t, e.ObjectName) }))},
		{"8-pjsip-list-contacts", call(action.PJSIPShowContacts{}, length(4, func(t *testing.T, e event.ContactList) { require.NotEmpty(t, e.Uri) }))},
		{"8-pjsip-list-endpoints", call(action.PJSIPShowEndpoints{}, length(6, func(t *testing.T, e event.EndpointList) { require.NotEmpty(t, e.ObjectName) }))},
		{"8-pjsip-list-registrationsoutbound", call(action.PJSIPShowRegistrationsOutbound{}, func(t *testing.T, r action.PJSIPShowRegistrationsOutboundResult) {
			require.Len(t, r.Registrations, 3)
			require.Len(t, r.Auths, 2)
		})},
		{"8-pjsip-showendpoint", call(action.PJSIPShowEndpoint{Endpoint: "x"}, func(t *testing.T, r action.PJSIPShowEndpointResult) {
			require.Equal(t, 5, len(r.Endpoints)+len(r.Identifies)+len(r.Contacts)+len(r.Auths)+len(r.Transports)+len(r.Aors))
			require.Len(t, r.Endpoints, 1)
		})},
		{"8-pjsip-presence", sequence(
			call(action.Setvar{Variable: "PRESENCE_STATE(CustomPresence:alice)", Value: "away"}, func(*testing.T, action.Success) {}),
			call(action.PresenceState{Provider: "CustomPresence:alice"}, func(t *testing.T, r action.PresenceStateResult) {
				require.Equal(t, event.PresenceStateAway, r.State)
			}),
			call(action.PresenceStateList{}, length(1, func(t *testing.T, e event.PresenceStateChange) {
				require.Equal(t, event.PresenceStateAway, e.Status)
			})),
		)},
		{"9-v18-sip-lists", sequence(
			call(action.SIPpeers{}, length(3, func(t *testing.T, e event.PeerEntry) { require.NotEmpty(t, e.ObjectName) })),
			call(action.SIPpeerstatus{}, length(3, func(t *testing.T, e event.PeerStatus) { require.Equal(t, "SIP/s3001", e.Peer) })),
		)},
		{"2-coresettings", call(action.CoreSettings{}, func(t *testing.T, r action.CoreSettingsResult) {
			require.Contains(t, r.AsteriskVersion, "22.")
			require.Empty(t, r.Invalid)
		})},
		{"2-listcommands", call(action.ListCommands{}, func(t *testing.T, r []action.CommandFacts) {
			require.Greater(t, len(r), 100)
			for _, c := range r {
				f, ok := action.Lookup(c.Name)
				require.True(t, ok, c.Name)
				require.ElementsMatch(t, f.Privilege, c.Privilege, c.Name)
				require.NotEmpty(t, c.Synopsis)
			}
		})},
		{"2-ping", call(action.Ping{}, func(t *testing.T, r action.PingResult) {
			require.Equal(t, "Pong", r.Ping)
			require.Greater(t, r.Timestamp.Year(), 2020)
		})},
		{"2-command-core-show-application-dial", call(action.Command{Command: "core show application Dial"}, func(t *testing.T, r action.CommandResult) {
			require.Len(t, r.Output, 593)
		})},
		{"4-originate-sync", call(action.Originate{Channel: "Local/1", Application: "Wait"}, func(t *testing.T, r action.OriginateResult) {
			require.True(t, r.Answered())
		})},
		{"4-originate-async", call(action.Originate{Channel: "Local/1", Application: "Wait", Async: true}, func(t *testing.T, r action.OriginateResult) {
			require.True(t, r.Answered())
			require.NotEmpty(t, r.Channel)
			require.NotEmpty(t, r.UniqueID)
		})},
		{"4-originate-async-busy", call(action.Originate{Channel: "Local/1", Application: "Wait", Async: true}, func(t *testing.T, r action.OriginateResult) {
			require.False(t, r.Answered())
			require.Equal(t, event.OriginateReasonBusy, r.Reason)
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(replay(tc.name))
				defer srv.Close()
				c, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext))
				require.NoError(t, err)
				defer c.Close()
				tc.call(t, t.Context(), c)
				require.Zero(t, c.Stats().Pending)
			})
		})
	}
}

// TestCallErrors: what a node lacks and what its user may not do are told apart,
// and nothing is sent of an action that is not valid (C4, C7).
func TestCallErrors(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		_, err := c.Send(t.Context(), action.Custom("Frobnicate"))
		require.ErrorIs(t, err, ami.ErrUnknownAction)
		require.NotErrorIs(t, err, ami.ErrPermission)
		before := len(srv.Ledger())
		_, err = c.Send(t.Context(), action.New("Frobnicate"))
		require.ErrorAs(t, err, new(*action.InvalidError), "known before anything is written")
		_, err = ami.Call(t.Context(), c, action.QueueAdd{})
		require.ErrorAs(t, err, new(*action.InvalidError))
		require.Len(t, srv.Ledger(), before, "nothing was written")
	})
}

// TestOn: events come decoded, others do not, and a gap is told (F1, E7).
func TestOn(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		hangups := ami.On[event.Hangup](c)
		srv.Broadcast("Newchannel", amitest.ClassCall, amitest.F("Channel", "PJSIP/1"))
		srv.Broadcast("Hangup", amitest.ClassCall, amitest.F("Channel", "PJSIP/1"), amitest.F("Cause", "17"), amitest.F("X-New", "1"))
		srv.Broadcast("hangup", amitest.ClassCall, amitest.F("Channel", "PJSIP/2"), amitest.F("Cause", "<unknown>"))
		var got []*event.Hangup
		for h, err := range hangups.All(t.Context()) {
			require.NoError(t, err)
			if got = append(got, h); len(got) == 2 {
				break
			}
		}
		require.Equal(t, "PJSIP/1", got[0].Channel.Name)
		require.Equal(t, event.HangupCause(17), got[0].Cause)
		require.Equal(t, "pbx1", got[0].Node)
		require.Equal(t, "1", got[0].Get("X-New"), "what is unknown is reachable")
		require.Empty(t, event.Invalid(got[0]))
		require.Equal(t, "PJSIP/2", got[1].Channel.Name, "it is not dropped")
		require.Zero(t, got[1].Cause)
		require.Equal(t, "<unknown>", event.Invalid(got[1])[0].Value)

		for _, s := range srv.Sessions() {
			s.Reset()
		}
		for h, err := range hangups.All(t.Context()) {
			require.NoError(t, err)
			gap, ok := h.Gap()
			require.True(t, ok)
			require.EqualValues(t, 2, gap.To)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		for h, err := range hangups.All(ctx) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotNil(t, h)
			_, gap := h.Gap()
			require.False(t, gap)
			n++
		}
		require.Equal(t, 1, n)
		require.Zero(t, hangups.Dropped())
		hangups.Close()
		for _, err := range hangups.All(t.Context()) {
			t.Fatal("it is closed", err)
		}
	})
}
