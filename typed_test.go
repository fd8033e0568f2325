package ami_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// TestPartialResult: what did not come whole says so (C2, C7).
func TestPartialResult(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("QueueStatus", func(c *amitest.Call) {
			c.ListStart("Queue status will follow")
			c.Event("QueueMember", amitest.F("Queue", "support"), amitest.F("Name", "Agent One"))
		})
		c := dial(t, srv)
		how := action.QueueStatus{}.Strategy()
		how.Partial = true
		queues, err := ami.Call(t.Context(), c, action.QueueStatus{}, ami.AnsweredAs(how), ami.Timeout(time.Second))
		require.NoError(t, err)
		require.Len(t, queues.Members, 1)
		require.True(t, queues.Partial)

		pong, err := ami.Call(t.Context(), c, action.Ping{})
		require.NoError(t, err)
		require.False(t, pong.Partial)
	})
}

// TestOnDeliversOneName: the type alone names the event. One of another name could
// not be delivered, and what was lost before it would not be told (F1, F3).
func TestOnDeliversOneName(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		synctest.Wait() // FullyBooted has come
		hangups := ami.On[event.Hangup](c, ami.Named("Test"), ami.Buffer(2))
		for _, name := range []string{"Hangup", "Test", "Test", "Test", "Hangup"} {
			srv.Broadcast(name, amitest.ClassCall)
			synctest.Wait()
		}
		require.NoError(t, c.Close())
		var got int
		for h, err := range hangups.All(t.Context()) {
			require.NoError(t, err)
			require.Zero(t, h.Lost)
			got++
		}
		require.Equal(t, 2, got)
		require.Zero(t, hangups.Dropped())
	})
}
