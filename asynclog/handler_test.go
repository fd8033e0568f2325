package asynclog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
	"github.com/apn/ami/internal/exported"
)

// TestConforms: what comes out of the sink is what slog wants of a handler.
func TestConforms(t *testing.T) {
	var out bytes.Buffer
	var h *asynclog.Handler
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		out.Reset()
		h = open(t, slog.NewJSONHandler(&out, nil))
		return h
	}, func(t *testing.T) map[string]any {
		flush(t, h)
		var m map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &m))
		return m
	})
}

// TestOptions: the bounds of each option are allowed, what is beyond them, zero and
// below is refused with key and value; and there is no other option (G3).
func TestOptions(t *testing.T) {
	_, err := asynclog.New(nil)
	require.Equal(t, &asynclog.ConfigError{Key: "Sink", Reason: "must not be nil"}, err)
	rows := map[string]struct {
		option          func(int64) asynclog.Option
		value           func(int64) any
		lowest, highest int64
		reason          string
	}{
		"WithCapacity": {
			func(v int64) asynclog.Option { return asynclog.WithCapacity(int(v)) },
			func(v int64) any { return int(v) },
			1, 1 << 20, "must be 1 to 1048576 records",
		},
		"WithWarnInterval": {
			func(v int64) asynclog.Option { return asynclog.WithWarnInterval(time.Duration(v)) },
			func(v int64) any { return time.Duration(v) },
			int64(100 * time.Millisecond), int64(24 * time.Hour), "must be 100ms to 24h0m0s",
		},
	}
	p, err := exported.Read(".")
	require.NoError(t, err)
	require.Equal(t, slices.Sorted(maps.Keys(p.Options)), slices.Sorted(maps.Keys(rows)))
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			for _, v := range []int64{row.lowest, row.lowest + 1, row.highest - 1, row.highest} {
				open(t, newSink(), row.option(v))
			}
			for _, v := range []int64{row.lowest - 1, row.highest + 1, 0, -1, math.MaxInt64, math.MinInt64} {
				_, err := asynclog.New(newSink(), row.option(v))
				want := &asynclog.ConfigError{Key: strings.TrimPrefix(name, "With"), Value: row.value(v), Reason: row.reason}
				require.Equal(t, want, err)
				require.EqualError(t, err, fmt.Sprintf("asynclog: config: %s = %v: %s", want.Key, want.Value, want.Reason))
			}
		})
	}
}

// TestOrder: records of one handler and of those derived from it come in the
// order in which they were handled, each with its attributes.
func TestOrder(t *testing.T) {
	var out bytes.Buffer
	h := open(t, slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	root := slog.New(h)
	node := root.With("node", "pbx1")
	call := node.WithGroup("call").With("id", 7)
	root.Info("1")
	call.Info("2", "to", "2001")
	node.Info("3")
	call.Info("4")
	root.Info("5", "a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", 6)
	flush(t, h)
	require.Equal(t, `msg=1
msg=2 node=pbx1 call.id=7 call.to=2001
msg=3 node=pbx1
msg=4 node=pbx1 call.id=7
msg=5 a=1 b=2 c=3 d=4 e=5 f=6
`, out.String())
	require.EqualValues(t, 5, h.Stats().Delivered)
}

func TestDerivesNothingFromNothing(t *testing.T) {
	h := open(t, newSink())
	require.Same(t, h, h.WithAttrs(nil))
	require.Same(t, h, h.WithGroup(""))
}

type contextKey struct{}

// TestContext: the sink sees the values of the caller's context, and that is not
// over for it.
func TestContext(t *testing.T) {
	s := newSink()
	var got any
	var err error
	s.on("m", func(ctx context.Context) error {
		got, err = ctx.Value(contextKey{}), ctx.Err()
		return nil
	})
	h := open(t, s)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "trace"))
	cancel()
	slog.New(h).InfoContext(ctx, "m")
	flush(t, h)
	require.Equal(t, "trace", got)
	require.NoError(t, err)

	var none context.Context
	require.NoError(t, h.Handle(none, slog.NewRecord(time.Now(), slog.LevelInfo, "m", 0)))
	flush(t, h)
	require.Nil(t, got)
	require.EqualValues(t, 2, h.Stats().Delivered)
}

// TestRecordIsKept: what the caller does with its record afterwards does not
// show in the one that is queued.
func TestRecordIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, adding{s})
		r := slog.NewRecord(time.Now(), slog.LevelInfo, "m", 0)
		r.AddAttrs(slog.Int("a", 1), slog.Int("b", 2), slog.Int("c", 3), slog.Int("d", 4), slog.Int("e", 5), slog.Int("f", 6))
		r.AddAttrs(slog.Int("g", 7))
		r.AddAttrs(slog.Int("h", 8)) // leaves room behind it
		require.NoError(t, h.Handle(t.Context(), r))
		r.AddAttrs(slog.Int("later", 9))
		close(s.gate)
		flush(t, h)
		require.Len(t, s.records, 1)
		require.Contains(t, s.records[0].attrs, "added")
		require.NotContains(t, s.records[0].attrs, "later")
		require.NotContains(t, s.records[0].attrs, "!BUG")
	})
}

// adding is a handler that adds an attribute, as many do.
type adding struct{ *sink }

func (a adding) Handle(ctx context.Context, r slog.Record) error {
	<-a.gate
	r.AddAttrs(slog.Int("added", 9))
	return a.sink.Handle(ctx, r)
}

// TestEnabled: the level of the sink holds, also for derived handlers; one that
// panics gets the record.
func TestEnabled(t *testing.T) {
	s := newSink()
	h := open(t, s)
	for _, l := range []slog.Handler{h, h.WithAttrs([]slog.Attr{slog.Int("a", 1)}), h.WithGroup("g")} {
		require.True(t, l.Enabled(t.Context(), slog.LevelInfo))
		require.False(t, l.Enabled(t.Context(), slog.LevelDebug))
	}
	bad := open(t, moody{s, func() bool { panic("no") }})
	log := slog.New(bad)
	log.Debug("1")
	flush(t, bad)
	require.Equal(t, []string{"1"}, s.seen())

	log.With("a", 1).Info("2") // asked once more by the handler's goroutine
	flush(t, bad)
	require.EqualValues(t, 1, bad.Stats().Dropped[asynclog.SinkPanic])
}

// moody is a handler with a mind of its own about levels.
type moody struct {
	slog.Handler

	enabled func() bool
}

func (m moody) Enabled(context.Context, slog.Level) bool        { return m.enabled() }
func (m moody) WithAttrs([]slog.Attr) slog.Handler              { return m }
func (m moody) Handle(ctx context.Context, r slog.Record) error { return m.Handler.Handle(ctx, r) }

// quieter is a handler whose derived handlers want fewer levels.
type quieter struct{ *sink }

func (q quieter) WithGroup(string) slog.Handler {
	return moody{q.sink, func() bool { return false }}
}

func TestDerivedLevel(t *testing.T) {
	s := newSink()
	h := open(t, quieter{s})
	log := slog.New(h)
	log.WithGroup("g").Info("1")
	log.Info("2")
	flush(t, h)
	require.Equal(t, []string{"2"}, s.seen())
	require.EqualValues(t, 2, h.Stats().Delivered, "it was the sink's to refuse")
}

// hostile does something in each place where a sink has code.
type hostile struct {
	*sink

	do func()
}

func (h hostile) WithAttrs([]slog.Attr) slog.Handler { h.do(); return h.sink }
func (h hostile) WithGroup(string) slog.Handler      { h.do(); return h.sink }

var errNone error

type hostileValue struct{ do func() }

func (v hostileValue) LogValue() slog.Value { v.do(); return slog.StringValue("value") }

// TestCallerIsSpared: wherever the sink, or a value, panics, blocks or ends its
// goroutine, who logs does not notice, and the next record comes.
func TestCallerIsSpared(t *testing.T) {
	actions := map[string]func(*asynclog.Handler, func()){
		"Handle": func(h *asynclog.Handler, _ func()) { slog.New(h).Info("act") },
		"WithAttrs": func(h *asynclog.Handler, _ func()) {
			slog.New(h).With("a", 1).Info("x")
		},
		"WithGroup": func(h *asynclog.Handler, _ func()) {
			slog.New(h).WithGroup("g").Info("x")
		},
		"LogValue": func(h *asynclog.Handler, do func()) {
			slog.New(h).Info("x", "v", hostileValue{do})
		},
		"LogValue of With": func(h *asynclog.Handler, do func()) {
			slog.New(h).With("v", hostileValue{do}).Info("x")
		},
	}
	for where, log := range actions {
		for what, do := range map[string]func(){
			"panic":  func() { panic("no") },
			"nil":    func() { panic(errNone) },
			"exit":   runtime.Goexit,
			"block":  nil,
			"assert": func() { _ = any(1).(string) },
		} {
			t.Run(where+"/"+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newSink()
					gate := make(chan struct{})
					if what == "block" {
						do = func() { <-gate }
					}
					s.on("act", func(context.Context) error { do(); return nil })
					var out slog.Handler = hostile{s, do}
					if strings.HasPrefix(where, "LogValue") {
						out = s
					}
					h := open(t, out)
					log(h, do)
					slog.New(h).Info("next")
					synctest.Wait()
					if what == "block" {
						require.Empty(t, s.seen())
						require.Equal(t, 2, h.Stats().Queued)
						close(gate)
					}
					flush(t, h)
					require.Contains(t, s.seen(), "next")
					lost := h.Stats().Dropped[asynclog.SinkPanic]
					switch {
					case what == "block", where[0] == 'L' && what != "exit": // slog survives those itself
						require.Zero(t, lost)
					default:
						require.EqualValues(t, 1, lost)
						require.Error(t, h.Stats().LastError)
					}
				})
			})
		}
	}
}

// TestSinkLogs: a sink may log to the handler that calls it, and flush it with a
// deadline.
func TestSinkLogs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSink()
		h := open(t, s, asynclog.WithCapacity(4))
		log := slog.New(h)
		s.on("1", func(ctx context.Context) error {
			for range 3 {
				log.Info("from the sink")
			}
			h.Stats()
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			e, ok := errors.AsType[*asynclog.DeadlineError](h.Flush(ctx))
			require.True(t, ok)
			require.Equal(t, asynclog.DeadlineError{Op: "flush", Left: 3, Stuck: true, Err: context.DeadlineExceeded}, *e)
			return nil
		})
		log.Info("1")
		flush(t, h)
		time.Sleep(2 * time.Second) // fake
		require.Equal(t, []string{"1", "from the sink", "from the sink", "from the sink"}, s.seen())
	})
}
