package asynclog

import (
	"context"
	"log/slog"
	"time"
)

// losses are those for one reason.
type losses struct {
	total  uint64
	told   uint64    // by warnings that the sink took
	at     time.Time // of the last warning, zero if there was none
	parted bool      // the last warning before the end was made
}

// run is the goroutine of the queue.
func (q *queue) run() {
	gone := true // unless the loop ends, runtime.Goexit does
	defer func() {
		if gone {
			go q.run()
			return
		}
		close(q.done)
	}()
	for q.step() {
	}
	gone = false
}

// step does the next thing there is to do. It returns false after the last one.
func (q *queue) step() bool {
	q.mu.Lock()
	if q.aborted {
		q.mu.Unlock()
		return false
	}
	why, wait := q.due()
	var e entry
	switch {
	case why >= 0:
		w := q.warning(why)
		q.busy = true
		q.mu.Unlock()
		q.warn(why, w)
	case q.backlog.n > 0:
		q.backlog.take(&e)
		q.busy, q.inHand = true, 1
		q.hand = q.accepted - uint64(q.backlog.n)
		q.mu.Unlock()
		q.deliver(&e)
	case q.closing:
		q.mu.Unlock()
		return false
	default:
		q.idle = true
		q.mu.Unlock()
		q.sleep(wait)
	}
	return true
}

// sleep waits for work, and for at most d unless d is zero.
func (q *queue) sleep(d time.Duration) {
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-q.wake:
	case <-timeout:
	}
	q.mu.Lock()
	q.idle = false
	q.mu.Unlock()
}

// due returns the reason that a warning is due for, -1 if none is, and then how
// long it takes until one will be, 0 if nothing is untold. The caller holds mu.
func (q *queue) due() (why int, wait time.Duration) {
	last := q.closing && q.backlog.n == 0
	for i := range q.losses {
		l := &q.losses[i]
		switch {
		case l.total == l.told || l.parted:
		case last:
			l.parted = true
			return i, 0
		default:
			left := time.Duration(0)
			if !l.at.IsZero() {
				left = q.interval - time.Since(l.at)
			}
			if left <= 0 {
				return i, 0
			}
			if wait == 0 || left < wait {
				wait = left
			}
		}
	}
	return -1, wait
}

// A warning says how many records were lost for one reason.
type warning struct {
	record slog.Record
	total  uint64
}

// warning makes one. The caller holds mu.
func (q *queue) warning(why int) warning {
	l := &q.losses[why]
	l.at = time.Now()
	r := slog.NewRecord(l.at, slog.LevelWarn, "log records dropped", 0)
	r.AddAttrs(
		slog.String("reason", string(reasons[why])),
		slog.Uint64("dropped_delta", l.total-l.told), slog.Uint64("dropped_total", l.total),
		slog.Int("queue_depth", q.backlog.n),
	)
	if why == byError || why == byPanic {
		r.AddAttrs(slog.Any("last_error", q.lastError))
	}
	return warning{r, l.total}
}

// warn gives a warning to the sink. If that fails it is made again, with what
// was lost meanwhile, after the interval.
func (q *queue) warn(why int, w warning) {
	q.call(func() error {
		ctx := context.Background()
		if !q.root.sink.Enabled(ctx, slog.LevelWarn) {
			return nil
		}
		return q.root.sink.Handle(ctx, w.record)
	}, func(_ int, err error) {
		if err == nil {
			q.losses[why].told = w.total
		}
	})
}

// deliver gives a record to the sink.
func (q *queue) deliver(e *entry) {
	q.call(func() error {
		ctx := e.ctx
		switch {
		case ctx == nil:
			ctx = context.Background()
		case ctx.Done() != nil:
			ctx = context.WithoutCancel(ctx)
		}
		return e.handler.deliver(ctx, e.record)
	}, func(why int, err error) {
		q.inHand = 0
		if err == nil {
			q.delivered++
		} else {
			q.losses[why].total++
		}
		q.flushed()
	})
}

// call goes into the sink and tells settle, which is called with mu held, what
// came of it, also if it panics or ends the goroutine.
func (q *queue) call(sink func() error, settle func(why int, err error)) {
	why, err := byPanic, errGoexit
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.busy = false
		if err != nil {
			q.lastError = err
		}
		settle(why, err)
	}()
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v}
		}
	}()
	if err = sink(); err != nil {
		err = &sinkError{policy.Text(err.Error()), err} // may panic: it is the sink's
	}
	why = byError
}
