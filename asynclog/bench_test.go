package asynclog_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/apn/ami/asynclog"
)

// BenchmarkLog compares what a log call costs its caller: with no logging at
// all, with a sink called directly, and through a Handler whose sink takes
// records, stands still, or writes JSON.
func BenchmarkLog(b *testing.B) {
	json := slog.NewJSONHandler(io.Discard, nil)
	for _, tc := range []struct {
		name  string
		sink  slog.Handler
		async bool
	}{
		{"discard", slog.DiscardHandler, false},
		{"json", json, false},
		{"async/discard", slog.DiscardHandler, true},
		{"async/nothing", nothing{}, true},
		{"async/json", json, true},
		{"async/stuck", nil, true},
	} {
		b.Run(tc.name, func(b *testing.B) {
			sink := tc.sink
			if tc.async {
				if sink == nil {
					stuck := stoppedSink()
					defer close(stuck.gate) // behind Close
					sink = stuck
				}
				h, err := asynclog.New(sink)
				if err != nil {
					b.Fatal(err)
				}
				defer h.Close(ended(b))
				sink = h
			}
			log := slog.New(sink)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				log.LogAttrs(ctx, slog.LevelInfo, "message", slog.String("server_key", "pbx1"), slog.Int("attempt", 3))
			}
		})
	}
}

// nothing is a sink that does nothing.
type nothing struct{}

func (nothing) Enabled(context.Context, slog.Level) bool  { return true }
func (nothing) WithAttrs([]slog.Attr) slog.Handler        { return nothing{} }
func (nothing) WithGroup(string) slog.Handler             { return nothing{} }
func (nothing) Handle(context.Context, slog.Record) error { return nil }
