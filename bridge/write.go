package bridge

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/apn/ami/bridge/spool"
)

// A lossCount counts what is known to be lost.
type lossCount struct {
	subscription atomic.Uint64 // events that its buffer dropped
	spool        atomic.Uint64 // records that it dropped to make room
	large        atomic.Uint64 // records that were too large for it
}

// A writer takes batches from the journal to the spool, which never makes it wait
// for the broker.
type writer struct {
	journal *journal
	spool   *spool.Spool
	memory  *memory
	lost    *lossCount
	log     *slog.Logger
	failed  atomic.Bool // the disk refused the last batch: it is in memory
	entries []spool.Entry
}

// run writes until the journal has finished.
func (w *writer) run() {
	var lasts []nodeLast
	for {
		p, now, ok := w.journal.take(lasts)
		if !ok {
			return
		}
		lasts = now
		w.write(p, lasts)
	}
}

func (w *writer) write(p *pile, lasts []nodeLast) {
	if err := w.memory.announce(lasts); err != nil {
		w.log.Error("what the next instance must know of this one was not saved", "error", err)
	}
	w.entries = w.entries[:0]
	from := 0
	for _, m := range p.marks {
		w.entries = append(w.entries, spool.Entry{Group: m.group, Data: p.buf[from:m.end]})
		from = m.end
	}
	err := w.spool.Append(w.entries...)
	if _, large := errors.AsType[*spool.TooLargeError](err); large { // none was taken
		err = w.each()
	}
	if !errors.Is(err, spool.ErrClosed) { // else nothing was taken
		w.memory.note(lasts)
	}
	if was := w.failed.Swap(err != nil); err != nil && !was {
		w.log.Error("the spool's disk refuses records: they are in memory only", "error", err)
	}
}

// each appends the entries one by one, without those that are too large. The
// record behind one tells that it is missing.
func (w *writer) each() (failed error) {
	for _, e := range w.entries {
		err := w.spool.Append(e)
		if large, ok := errors.AsType[*spool.TooLargeError](err); ok {
			w.lost.large.Add(1)
			w.log.Error("a record is too large for the spool", "group", large.Group, "bytes", large.Bytes, "max", large.Max)
			continue
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

// How long what failed waits: at random up to a bound that doubles from the first
// to the last.
const (
	retryFirst = 200 * time.Millisecond
	retryLast  = 10 * time.Second
)

// newRetry returns such waits; see fullJitter in package supervise for the halves.
func newRetry() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(retryFirst/2),
		backoff.WithMaxInterval(retryLast/2),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1),
		backoff.WithMaxElapsedTime(0),
	)
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
