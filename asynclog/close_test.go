package asynclog_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
)

// TestClose delivers what is queued; what comes later is counted.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSink()
		for _, m := range []string{"1", "2", "3"} {
			s.on(m, func(context.Context) error { time.Sleep(time.Second); return nil }) // fake
		}
		h := open(t, s)
		numbers(h, 1, 3)
		start := time.Now()
		require.NoError(t, h.Close(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, []string{"1", "2", "3"}, s.seen())

		r := slog.NewRecord(time.Now(), slog.LevelInfo, "4", 0)
		require.ErrorIs(t, h.Handle(t.Context(), r), asynclog.ErrClosed)
		require.ErrorIs(t, h.WithGroup("g").Handle(t.Context(), r), asynclog.ErrClosed)
		require.NoError(t, h.Flush(t.Context()))
		require.NoError(t, h.Close(t.Context()))
		require.NoError(t, h.Close(ended(t)))
		require.Len(t, s.seen(), 3)
		require.EqualValues(t, 5, h.Stats().Handled)
		require.EqualValues(t, 2, h.Stats().Dropped[asynclog.Closed])
		balanced(t, h)
	})
}

// TestCloseWhileLogging: what comes while Close delivers is lost, and said to be.
func TestCloseWhileLogging(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s)
		numbers(h, 1, 2)
		closed := make(chan error)
		go func() { closed <- h.Close(t.Context()) }()
		synctest.Wait()
		numbers(h, 3, 5)
		close(s.gate)
		require.NoError(t, <-closed)
		require.Equal(t, []string{"1", "log records dropped", "2"}, s.seen())
		require.Equal(t, "closed", s.warnings()[0]["reason"])
		require.EqualValues(t, 3, s.warnings()[0]["dropped_total"])
	})
}

// TestCloseOfAStuckSink: Close does not wait longer than it may, counts what it
// leaves behind, and the goroutine ends when the sink lets it go.
func TestCloseOfAStuckSink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s)
		numbers(h, 1, 10)
		flushed := make(chan error)
		go func() { flushed <- h.Flush(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := h.Close(ctx)
		require.Equal(t, 3*time.Second, time.Since(start))
		e, ok := errors.AsType[*asynclog.DeadlineError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, asynclog.DeadlineError{Op: "close", Left: 9, Stuck: true, Err: context.DeadlineExceeded}, *e)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "asynclog: close: 9 records left, the sink does not return: context deadline exceeded")
		st := h.Stats()
		require.EqualValues(t, 9, st.Dropped[asynclog.Closed])
		require.Equal(t, 1, st.Queued)
		balanced(t, h)

		err = h.Close(ended(t)) // still
		e, ok = errors.AsType[*asynclog.DeadlineError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, asynclog.DeadlineError{Op: "close", Stuck: true, Err: context.Canceled}, *e)

		close(s.gate)
		require.NoError(t, h.Close(t.Context()))
		require.NoError(t, <-flushed)
		require.Equal(t, []string{"1"}, s.seen(), "the sink was left alone afterwards")
		require.EqualValues(t, 1, h.Stats().Delivered)
		require.Zero(t, h.Stats().Queued)
	})
}

// TestCloseAtOnce: a context that is over drops what is queued, and is no error
// if nothing is.
func TestCloseAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		idle := open(t, newSink())
		synctest.Wait()
		require.NoError(t, idle.Close(ended(t)))

		fresh := open(t, newSink())
		require.NoError(t, fresh.Close(ended(t)), "its goroutine may not have begun")
	})
}

func TestFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s, asynclog.WithCapacity(3))
		require.NoError(t, h.Flush(ended(t)), "nothing was handled")
		numbers(h, 1, 1)
		synctest.Wait()
		err := h.Flush(ended(t))
		e, ok := errors.AsType[*asynclog.DeadlineError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, asynclog.DeadlineError{Op: "flush", Stuck: true, Err: context.Canceled}, *e)

		numbers(h, 2, 3)
		first := make(chan error, 1)
		go func() { first <- h.Flush(t.Context()) }()
		synctest.Wait()
		numbers(h, 4, 9) // of those before the flush only 1 is left
		require.Empty(t, first, "1 is not with the sink yet")
		s.gate <- struct{}{}
		require.NoError(t, <-first, "the others were dropped")
		close(s.gate)
		flush(t, h)
		require.Equal(t, []string{"1", "log records dropped", "7", "8", "9"}, s.seen())
	})
}

// TestCloseEndsFlush: who waits for records that Close drops waits no longer.
func TestCloseEndsFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSink()
		gate := make(chan struct{})
		s.on("1", func(context.Context) error { return errors.New("no") })
		s.on("log records dropped", func(context.Context) error { <-gate; return nil })
		h := open(t, s)
		numbers(h, 1, 1)
		synctest.Wait() // the sink stands at the warning
		numbers(h, 2, 3)
		flushed := make(chan error)
		go func() { flushed <- h.Flush(t.Context()) }()
		synctest.Wait()

		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		e, ok := errors.AsType[*asynclog.DeadlineError](h.Flush(ctx))
		require.True(t, ok)
		require.Equal(t, asynclog.DeadlineError{Op: "flush", Left: 2, Stuck: true, Err: gone}, *e)
		e, ok = errors.AsType[*asynclog.DeadlineError](h.Close(ctx))
		require.True(t, ok)
		require.Equal(t, asynclog.DeadlineError{Op: "close", Left: 2, Stuck: true, Err: gone}, *e)
		require.NoError(t, <-flushed)
		close(gate)
		require.NoError(t, h.Close(t.Context()))
	})
}

// TestTwoCloses: the one that may not wait ends it for the other.
func TestTwoCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stoppedSink()
		h := open(t, s)
		numbers(h, 1, 5)
		patient := make(chan error)
		go func() { patient <- h.Close(t.Context()) }()
		synctest.Wait()
		require.Error(t, h.Close(ended(t)))
		close(s.gate)
		require.NoError(t, <-patient)
		require.Equal(t, []string{"1"}, s.seen())
		require.EqualValues(t, 4, h.Stats().Dropped[asynclog.Closed])
	})
}
