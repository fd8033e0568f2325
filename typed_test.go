package ami_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

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
