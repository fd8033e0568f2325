//go:build !race

package asynclog_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
)

// TestHandleAllocatesNothing: neither while the sink keeps up nor while it
// stands and the queue is full.
func TestHandleAllocatesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		stuck := open(t, s, asynclog.WithCapacity(100))
		numbers(stuck, 1, 300)
		flowing := open(t, nothing{})
		numbers(flowing, 1, 300)
		flush(t, flowing)
		for name, h := range map[string]*asynclog.Handler{"stuck": stuck, "flowing": flowing} {
			log := slog.New(h)
			ctx := context.Background() // as that of Info
			got := testing.AllocsPerRun(100, func() {
				for range 320 { // several chunks
					log.LogAttrs(ctx, slog.LevelInfo, "m", slog.Int("a", 1), slog.String("b", "2"))
					if name == "flowing" {
						synctest.Wait()
					}
				}
			})
			require.Zero(t, got, name)
		}
		close(s.gate)
	})
}
