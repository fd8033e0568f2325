package asynclog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
)

// numbers logs the messages from to to.
func numbers(h slog.Handler, from, to int) {
	log := slog.New(h)
	for i := from; i <= to; i++ {
		log.Info(fmt.Sprint(i))
	}
}

// TestFull: the oldest records make room, exactly so many as are counted, and the
// warning stands where they are missing.
func TestFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s, asynclog.WithCapacity(3))
		numbers(h, 1, 1)
		synctest.Wait() // the sink has it in hand
		numbers(h, 2, 4)
		require.Zero(t, total(h.Stats()))
		numbers(h, 5, 10)
		require.Equal(t, asynclog.Stats{
			Handled: 10, Queued: 4,
			Dropped: map[asynclog.Reason]uint64{
				asynclog.CapacityExceeded: 6, asynclog.SinkError: 0, asynclog.SinkPanic: 0, asynclog.Closed: 0,
			},
		}, h.Stats())
		close(s.gate)
		flush(t, h)
		require.Equal(t, []string{"1", "log records dropped", "8", "9", "10"}, s.seen())
		require.Equal(t, []map[string]any{{
			"reason": "capacity_exceeded", "dropped_delta": uint64(6), "dropped_total": uint64(6), "queue_depth": int64(3),
		}}, s.warnings())
		require.EqualValues(t, 4, h.Stats().Delivered)
		balanced(t, h)
	})
}

// TestWarnings: one for each reason and interval, at the earliest moment, with
// exact numbers; they are no records.
func TestWarnings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		broken := errors.New("disk full")
		s := newSink()
		s.on("bad", func(context.Context) error { return broken })
		s.on("worse", func(context.Context) error { panic("oops") })
		h := open(t, s) // 10 s
		log := slog.New(h)
		lose := func(bad, worse int) {
			for range bad {
				log.Info("bad")
			}
			for range worse {
				log.Info("worse")
			}
			synctest.Wait()
		}
		lose(3, 0)
		require.Len(t, s.warnings(), 1)
		lose(2, 0)
		require.Len(t, s.warnings(), 1, "not before the interval is over")
		lose(0, 1)
		require.Len(t, s.warnings(), 2, "the other reason has its own")
		time.Sleep(10*time.Second - 1) // fake
		require.Len(t, s.warnings(), 2)
		time.Sleep(time.Nanosecond) // fake
		synctest.Wait()
		require.Len(t, s.warnings(), 3, "without another record")
		time.Sleep(time.Hour) // fake
		require.Len(t, s.warnings(), 3, "there is nothing to tell")
		lose(1, 1)
		require.Len(t, s.warnings(), 5)
		lose(0, 4)
		require.NoError(t, h.Close(t.Context()))

		sum := map[any]uint64{}
		for i, want := range []struct {
			reason       string
			delta, total int
		}{
			{"sink_error", 1, 1}, // the first one at once
			{"sink_panic", 1, 1},
			{"sink_error", 4, 5},
			{"sink_error", 1, 6},
			{"sink_panic", 1, 2},
			{"sink_panic", 4, 6}, // the last one at the end
		} {
			w := s.warnings()[i]
			require.Equal(t, want.reason, w["reason"], i)
			require.EqualValues(t, want.delta, w["dropped_delta"], i)
			require.EqualValues(t, want.total, w["dropped_total"], i)
			require.Contains(t, w, "last_error")
			sum[w["reason"]] += w["dropped_delta"].(uint64)
		}
		require.Len(t, s.warnings(), 6)
		st := h.Stats()
		require.EqualValues(t, 12, st.Handled)
		require.Zero(t, st.Delivered)
		require.Equal(t, sum["sink_error"], st.Dropped[asynclog.SinkError])
		require.Equal(t, sum["sink_panic"], st.Dropped[asynclog.SinkPanic])
		e, ok := errors.AsType[*asynclog.PanicError](st.LastError)
		require.True(t, ok)
		require.Equal(t, "oops", e.Value)
		require.EqualError(t, e, "asynclog: the sink panicked: string")
	})
}

// TestReasonsTakeTurns: each reason waits for its own interval.
func TestReasonsTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSink()
		s.on("1", func(context.Context) error { return errors.New("no") })
		s.on("2", func(context.Context) error { panic("no") })
		h := open(t, s)
		numbers(h, 1, 1)
		time.Sleep(4 * time.Second) // fake
		numbers(h, 2, 2)
		numbers(h, 1, 2)
		for _, tc := range []struct {
			sleep    time.Duration
			warnings int
		}{{5 * time.Second, 2}, {2 * time.Second, 3}, {2 * time.Second, 3}, {2 * time.Second, 4}} {
			time.Sleep(tc.sleep) // fake
			synctest.Wait()
			require.Len(t, s.warnings(), tc.warnings)
		}
	})
}

// TestLossDuringWarning: what is lost while a warning is out is for the next one.
func TestLossDuringWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s, asynclog.WithCapacity(3))
		numbers(h, 1, 1)
		synctest.Wait()
		numbers(h, 2, 5)
		s.gate <- struct{}{} // 1
		synctest.Wait()      // the warning about 2
		require.Equal(t, 3, h.Stats().Queued, "a warning is no record")
		numbers(h, 6, 7)
		close(s.gate)
		time.Sleep(11 * time.Second) // fake
		require.Equal(t, []string{"1", "log records dropped", "5", "6", "7", "log records dropped"}, s.seen())
		require.EqualValues(t, 1, s.warnings()[0]["dropped_delta"])
		require.EqualValues(t, 1, s.warnings()[0]["dropped_total"])
		require.EqualValues(t, 2, s.warnings()[1]["dropped_delta"])
		require.EqualValues(t, 3, s.warnings()[1]["dropped_total"])
	})
}

// TestWarningFails: the sink may fail there too; what it was told is told again,
// after the interval, and nothing of that is counted.
func TestWarningFails(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("no") },
		"panic": func(context.Context) error { panic("no") },
		"exit":  func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSink()
				for _, m := range []string{"1", "2", "log records dropped"} {
					s.on(m, fail)
				}
				h := open(t, s, asynclog.WithWarnInterval(time.Minute))
				numbers(h, 1, 2)
				time.Sleep(10 * time.Minute) // fake
				require.EqualValues(t, 2, total(h.Stats()))
				require.EqualValues(t, 2, h.Stats().Handled)
				require.Empty(t, s.seen())
				s.on("log records dropped", nil)
				time.Sleep(time.Minute) // fake
				synctest.Wait()
				require.Len(t, s.warnings(), 1)
				require.EqualValues(t, 2, s.warnings()[0]["dropped_delta"])
				s.on("1", nil)
				s.on("log records dropped", fail)
				numbers(h, 1, 2)
				require.NoError(t, h.Close(t.Context()), "it is not tried for ever")
				require.Equal(t, []string{"log records dropped", "1"}, s.seen())
			})
		})
	}
}

// TestNoWarningsWanted: a sink that wants errors alone gets no warning.
func TestNoWarningsWanted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSink()
		s.on("1", func(context.Context) error { return errors.New("no") })
		h := open(t, moody{s, func() bool { return false }})
		numbers(h, 1, 1) // not asked for
		require.NoError(t, h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelError, "1", 0)))
		flush(t, h)
		require.NoError(t, h.Close(t.Context()))
		require.Empty(t, s.seen())
		require.EqualValues(t, 1, h.Stats().Dropped[asynclog.SinkError])
	})
}

// TestFlushWaitsForTheRecordInHand: drops behind a record that the sink has in
// hand do not count for it. Before, a flush returned while that was not written.
func TestFlushWaitsForTheRecordInHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s, asynclog.WithCapacity(1))
		numbers(h, 1, 1)
		synctest.Wait() // the sink has it in hand
		flushed := make(chan error, 2)
		wait := func(ctx context.Context) { flushed <- h.Flush(ctx) }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go wait(ctx)
		go wait(t.Context())
		synctest.Wait()
		numbers(h, 2, 9) // each drops the one before
		err := h.Flush(ctx)
		e, ok := errors.AsType[*asynclog.DeadlineError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, 1, e.Left, "9, and 1 is with the sink")
		e, ok = errors.AsType[*asynclog.DeadlineError](<-flushed)
		require.True(t, ok, "1 was not written")
		require.True(t, e.Stuck)
		require.Zero(t, e.Left)
		require.Empty(t, flushed, "nor has the other one returned")
		close(s.gate)
		require.NoError(t, <-flushed)
		require.Equal(t, "1", s.seen()[0])
	})
}

// TestSinkTells: a sink that fails tells no secret, neither in the warning about it
// nor in Stats, whatever they are printed with (G2).
func TestSinkTells(t *testing.T) {
	const canary = "canary-5ecr3t"
	refused := errors.New(`Post "https://log/?token=` + canary + `": connection refused`)
	var none *net.OpError
	for name, tc := range map[string]struct {
		handle func(context.Context) error
		says   string
	}{
		"error":           {func(context.Context) error { return refused }, `Post "https://log/?token=[redacted]`},
		"panic":           {func(context.Context) error { panic("the record was " + canary) }, "asynclog: the sink panicked: string"},
		"panic, error":    {func(context.Context) error { panic(refused) }, "asynclog: the sink panicked: *errors.errorString"},
		"panic, runtime":  {func(context.Context) error { return []error{}[len(canary)] }, "asynclog: the sink panicked: runtime error: index out of range [13] with length 0"},
		"error, nil":      {func(context.Context) error { return none }, "<nil>"},
		"error, panicked": {func(context.Context) error { return deep{} }, "asynclog: the sink panicked: string"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSink()
				s.on("bad", tc.handle)
				h := open(t, s)
				slog.New(h).Info("bad")
				flush(t, h)
				synctest.Wait()
				require.Len(t, s.warnings(), 1)
				told, ok := s.warnings()[0]["last_error"].(error)
				require.True(t, ok)
				for _, err := range []error{told, h.Stats().LastError} {
					require.EqualError(t, err, tc.says)
					var out bytes.Buffer
					slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "e", err, "s", h.Stats())
					b, jsonErr := json.Marshal(map[string]any{"e": err, "s": h.Stats()})
					require.NoError(t, jsonErr)
					require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q %v %#v", err, err, err, err, err, h.Stats(), h.Stats())+string(b)+out.String(), canary)
				}
			})
		})
	}
	require.ErrorIs(t, func() error {
		h := open(t, slogFunc(func() error { return refused }))
		slog.New(h).Info("bad")
		flush(t, h)
		return h.Stats().LastError
	}(), refused)
}

// deep is an error that panics with a secret when it is printed.
type deep struct{}

func (deep) Error() string { panic("canary-5ecr3t") }

// A slogFunc is a sink.
type slogFunc func() error

func (slogFunc) Enabled(context.Context, slog.Level) bool    { return true }
func (f slogFunc) Handle(context.Context, slog.Record) error { return f() }
func (f slogFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f slogFunc) WithGroup(string) slog.Handler             { return f }
