package amitest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/internal/captures"
)

func chunks(name string) (all []amitest.Chunk) {
	for _, c := range captures.Timeline(name) {
		all = append(all, amitest.Chunk(c))
	}
	return all
}

// A client that sends what the recorded one sent gets what it got, byte for
// byte, of all recordings.
func TestReplayIsFaithful(t *testing.T) {
	for _, name := range captures.Names() {
		if strings.HasPrefix(name, "6-flood-userevent") || name == "7-stop-reading-slow" {
			continue // a server stream alone
		}
		t.Run(name, func(t *testing.T) {
			for _, timing := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					srv := amitest.NewServer(amitest.WithReplay(chunks(name), timing))
					defer srv.Close()
					p := dial(t, srv)
					start := time.Now()
					p.write(string(captures.Client(name)))
					want := captures.Server(name)
					got := make([]byte, 0, len(want))
					for buf := make([]byte, 32<<10); len(got) < len(want); {
						n, err := p.Read(buf)
						require.NoError(t, err)
						got = append(got, buf[:n]...)
					}
					require.True(t, bytes.Equal(want, got))
					all := chunks(name)
					if last := slices.IndexFunc(all, func(c amitest.Chunk) bool { return c.EOF }); last >= 0 {
						assert.Empty(t, p.rest())
						if timing {
							assert.Equal(t, all[last].At, time.Since(start))
						}
					}
				})
			}
		})
	}
}

func TestReplayTakesTheLiveActionIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithReplay(chunks("4-userevent"), false))
		defer srv.Close()
		p := dial(t, srv)
		assert.Equal(t, "Asterisk Call Manager/11.0.0\r\n", p.until("\r\n"))
		p.quiet()
		p.send("Action: Login", "ActionID: mine-1", "Username: me")
		assert.Contains(t, p.message(), "ActionID: mine-1\r\n")
		assert.Contains(t, p.message(), "Event: FullyBooted")
		p.quiet() // the recorded client had sent its next action by now
		p.send("Action: Whatever", "ActionID: mine-2")
		assert.Contains(t, p.message(), "Event: SuccessfulAuth")
		assert.Contains(t, p.message(), "ActionID: mine-2\r\nMessage: Event Sent\r\n")
		echo := p.message()
		assert.Contains(t, echo, "UserEvent: MyEvent\r\nActionID: mine-2\r\n")
		p.send("Action: Whatever", "ActionID: mine-3")
		assert.NotContains(t, p.message()+p.message(), "ActionID", "the recorded action had none")
		p.send("Action: Whatever", "ActionID: mine-4")
		assert.Equal(t, 2, strings.Count(p.message()+p.message(), "ActionID: mine-4\r\n"))
		p.send("Action: Bye", "ActionID: mine-5")
		assert.Contains(t, p.rest(), "ActionID: mine-5\r\n")
		assert.Len(t, srv.Ledger(), 5)
	})
}

func TestReplayRewritesAcrossChunks(t *testing.T) {
	all := []amitest.Chunk{
		{Server: true, Bytes: []byte("Banner\r\n")},
		{Bytes: []byte("Action: A\r\nActionID: old\r\n\r\n")},
		{Server: true, Bytes: []byte("Response: Success\r\nAct")},
		{Server: true, Bytes: []byte("ionID: ol")},
		{Server: true, Bytes: []byte("d\r\nX: ActionID: old\r\nActionID: older\r\n\r\nAc")},
		{EOF: true},
	}
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithReplay(all, false))
		defer srv.Close()
		p := dial(t, srv)
		p.send("Action: A", "ActionID: new")
		assert.Equal(t, "Banner\r\nResponse: Success\r\nActionID: new\r\nX: ActionID: old\r\nActionID: older\r\n\r\nAc", p.rest())
	})
}
