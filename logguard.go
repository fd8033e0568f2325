package ami

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// A logGuard is the handler of the user's logger. Its panics go no further: what
// only watches must not end what it watches. What is lost is counted; it cannot
// be logged.
type logGuard struct {
	slog.Handler

	panics *atomic.Uint64
}

// guardLog returns a logger whose handler may panic.
func guardLog(l *slog.Logger, panics *atomic.Uint64) *slog.Logger {
	return slog.New(logGuard{l.Handler(), panics})
}

func (g logGuard) recovered() {
	if recover() != nil {
		g.panics.Add(1)
	}
}

func (g logGuard) Enabled(ctx context.Context, level slog.Level) bool {
	defer g.recovered()
	return g.Handler.Enabled(ctx, level)
}

func (g logGuard) Handle(ctx context.Context, r slog.Record) error {
	defer g.recovered()
	return g.Handler.Handle(ctx, r)
}

// WithAttrs leaves the attributes out if the handler panics.
func (g logGuard) WithAttrs(attrs []slog.Attr) (h slog.Handler) {
	defer func() {
		if recover() != nil {
			g.panics.Add(1)
			h = g
		}
	}()
	return logGuard{g.Handler.WithAttrs(attrs), g.panics}
}
