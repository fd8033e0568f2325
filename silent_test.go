package ami_test

import (
	"bytes"
	"log"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// TestSilentByDefault: a client without a logger says nothing, and least of all to
// the program's default one, while it connects, loses the line and ends (G1).
func TestSilentByDefault(t *testing.T) {
	var said bytes.Buffer
	before, out, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(out)
		log.SetFlags(flags)
	}()
	slog.Debug("heard")
	require.Contains(t, said.String(), "heard")
	said.Reset()
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		srv.Sessions()[0].Reset()
		synctest.Wait()
		require.NoError(t, c.Ready(t.Context()))
		require.EqualValues(t, 2, c.Stats().Epoch)
		require.NoError(t, c.Close())
		synctest.Wait()
	})
	require.Empty(t, said.String())
}
