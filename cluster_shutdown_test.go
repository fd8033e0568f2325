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
)

// TestShutdownMakesNoSession: a node that has logged off waits for the others
// without logging in again, and that is no loss (D7).
func TestShutdownMakesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.list[1].Handle("Ping", func(c *amitest.Call) {
			if c.Wait(20 * time.Second) {
				c.Respond(amitest.F("Ping", "Pong"))
			}
		})
		f.run(t)
		answer := make(chan error, 1)
		go func() {
			_, err := f.Send(context.WithoutCancel(t.Context()), action.Ping{}, ami.To("pbx2"))
			answer <- err
		}()
		synctest.Wait()
		require.NoError(t, f.Shutdown(t.Context()))
		require.NoError(t, <-answer)
		for _, c := range f.Nodes() {
			s := c.Stats()
			require.EqualValues(t, 1, s.Connects)
			require.Zero(t, s.Losses)
			require.Zero(t, s.Failures)
		}
	})
}
