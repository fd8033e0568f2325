package amitest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// A thousand actions are pending at once; nine hundred are answered in random
// order by another goroutine, the rest never.
func TestAnswersLaterAndNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		var mu sync.Mutex
		var calls []*amitest.Call
		srv.Handle("Slow", func(c *amitest.Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		})
		p := login(t, srv, "off")
		for i := range 1000 {
			p.send("Action: Slow", fmt.Sprintf("ActionID: %d", i))
		}
		require.NoError(t, srv.WaitAction(t.Context(), "Slow", 1000))
		synctest.Wait()
		mu.Lock()
		rand.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		answer := calls[:900]
		mu.Unlock()
		go func() {
			for _, c := range answer {
				c.Success("Done")
			}
		}()
		for _, c := range answer {
			assert.Equal(t, "Response: Success\r\nActionID: "+c.ActionID()+"\r\nMessage: Done\r\n\r\n", p.message())
		}
		p.quiet()
		answered := 0
		for _, e := range srv.LedgerOf(1) {
			if e.Action == "Slow" && e.Outcome == "Success" {
				answered++
			}
		}
		assert.Equal(t, 900, answered)
	})
}

func TestHandlePermissionAndShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(
			amitest.WithUser(amitest.User{Name: "admin", Secret: "secret"}),
			amitest.WithUser(amitest.User{Name: "guest", Secret: "guest", Write: amitest.ClassCall}))
		defer srv.Close()
		srv.Handle("Things", func(c *amitest.Call) {
			c.ListStart("Things will follow")
			c.Event("Thing", amitest.F("Name", c.Get("name")))
			c.EventIDLast("Thing", amitest.F("Name", strings.Join(c.Values("Name"), "+")))
			c.Broadcast("Seen", amitest.ClassUser)
			c.ListComplete("ThingsComplete", 2, amitest.F("Total", "2"))
			c.CloseSession()
		}, amitest.ClassAgent, amitest.ClassConfig)
		p := login(t, srv, "on")
		p.send("Action: things", "ActionID: 1", "Name: a", "NAME:b")
		// The event comes behind the list, as the session still has to end.
		assert.Equal(t, "Response: Success\r\nActionID: 1\r\nEventList: start\r\nMessage: Things will follow\r\n\r\n"+
			"Event: Thing\r\nActionID: 1\r\nName: a\r\n\r\n"+
			"Event: Thing\r\nName: a+b\r\nActionID: 1\r\n\r\n"+
			"Event: ThingsComplete\r\nActionID: 1\r\nEventList: Complete\r\nListItems: 2\r\nTotal: 2\r\n\r\n", p.rest())

		guest := dial(t, srv)
		guest.write("Action: Login\r\nUsername: guest\r\nSecret: guest\r\nEvents: off\r\n\r\n" +
			"Action: Things\r\n\r\nAction: Logoff\r\n\r\n")
		assert.Contains(t, guest.rest(), "Response: Error\r\nMessage: Permission denied\r\n")
		e := srv.LedgerOf(2)[1]
		assert.False(t, e.Executed)
		assert.Equal(t, "Permission denied", e.Message)
	})
}

func TestLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: DBPut", "ActionID: 1", "Family: f", "Key: k", "Val: v")
		p.send("Action: Nonsense", "ActionID: 2")
		e, err := srv.WaitLedger(t.Context(), func(e amitest.Entry) bool { return e.ActionID == "2" && e.Outcome != "" })
		require.NoError(t, err)
		assert.False(t, e.Executed)
		assert.Equal(t, 3, e.Number)
		first := srv.Ledger()[1]
		assert.True(t, first.Executed)
		assert.Equal(t, "Success", first.Outcome)
		assert.Equal(t, amitest.F("Val", "v"), first.Fields[4])
	})
}
