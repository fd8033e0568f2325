package bridge

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutage: an outage is one record, and one more if its reason changes, but not
// for each attempt.
func TestOutage(t *testing.T) { // H2
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := outage{log: slog.New(slog.NewTextHandler(&log, nil))}
		records := func() int { return strings.Count(log.String(), "\n") }
		refused, full := errors.New("connection refused"), errors.New("OOM")

		o.end()
		require.Zero(t, records(), "there was none")
		for range 100 {
			o.begin(refused, 1)
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, records(), log.String())
		o.begin(full, 2)
		require.Equal(t, 2, records(), log.String())
		require.Contains(t, log.String(), "error=OOM waiting=2")
		for range 100 { // two servers of which each says something else
			o.begin(refused, 3)
			o.begin(full, 3)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, records(), 2+100/10, log.String())
		before := records()
		o.end()
		o.end()
		require.Equal(t, before+1, records(), log.String())
		o.begin(full, 4)
		require.Equal(t, before+2, records(), "a new one")
	})
}
