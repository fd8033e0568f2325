package asynclog

import (
	"context"
	"log/slog"
	"sync"
)

// A queue takes records from any goroutine to the sink. Its own goroutine, run,
// owns the sink; close ends it.
type queue struct {
	config

	root *Handler // of New

	wake chan struct{} // to an idle goroutine; holds one
	done chan struct{} // closed by the goroutine when it ends

	mu        sync.Mutex // never held while the sink is called
	backlog   backlog
	idle      bool   // the goroutine waits for wake
	busy      bool   // it is in the sink
	inHand    int    // 1 if it is there with a record, not with a warning
	hand      uint64 // number of that record
	closing   bool   // nothing more is taken in
	aborted   bool   // nothing more is delivered
	flushes   []*flush
	accepted  uint64 // records that were queued
	refused   uint64 // those that came after close
	delivered uint64
	losses    [len(reasons)]losses
	lastError error
}

// put queues a record.
func (q *queue) put(ctx context.Context, h *Handler, r slog.Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		q.refused++
		q.losses[byClose].total++
		return ErrClosed
	}
	q.accepted++
	if q.backlog.n >= q.capacity {
		q.drop(byCapacity)
	}
	e := q.backlog.add()
	e.handler, e.ctx, e.record = h, ctx, r.Clone()
	q.rouse()
	return nil
}

// drop loses the oldest record. The caller holds mu.
func (q *queue) drop(why int) {
	var e entry
	q.backlog.take(&e)
	q.losses[why].total++
}

// rouse has the goroutine look what there is to do. The caller holds mu.
func (q *queue) rouse() {
	if !q.idle {
		return
	}
	q.idle = false
	select {
	case q.wake <- struct{}{}:
	default: // it has just woken up by itself
	}
}

// A flush waits until the first upTo records that were queued have left.
type flush struct {
	upTo uint64
	done chan struct{}
}

// left returns how many of the first upTo records that were queued have not left.
// Those in the backlog are the youngest; the one in hand is older, but a drop may
// have taken any number between them. The caller holds mu.
func (q *queue) left(upTo uint64) int {
	n := 0
	if older := q.accepted - uint64(q.backlog.n); upTo > older {
		n = int(upTo - older)
	}
	if q.inHand > 0 && q.hand <= upTo {
		n++
	}
	return n
}

func (q *queue) flush(ctx context.Context) error {
	q.mu.Lock()
	f := &flush{upTo: q.accepted, done: make(chan struct{})}
	q.flushes = append(q.flushes, f)
	q.flushed()
	q.mu.Unlock()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.left(f.upTo)
	if left == 0 {
		return nil
	}
	if q.inHand > 0 && q.hand <= f.upTo {
		left-- // it is with the sink
	}
	f.upTo = 0 // forgotten at the next look
	return &DeadlineError{Op: "flush", Left: left, Stuck: q.busy, Err: context.Cause(ctx)}
}

// flushed tells those who wait for it. The caller holds mu.
func (q *queue) flushed() {
	if len(q.flushes) == 0 {
		return
	}
	wait := q.flushes[:0]
	for _, f := range q.flushes {
		if q.left(f.upTo) == 0 {
			close(f.done)
		} else {
			wait = append(wait, f)
		}
	}
	clear(q.flushes[len(wait):])
	q.flushes = wait
}

func (q *queue) close(ctx context.Context) error {
	q.mu.Lock()
	q.closing = true
	q.rouse()
	q.mu.Unlock()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	e := &DeadlineError{Op: "close", Left: q.backlog.n, Stuck: q.busy, Err: context.Cause(ctx)}
	q.aborted = true
	for q.backlog.n > 0 {
		q.drop(byClose)
	}
	q.flushed()
	q.rouse()
	q.mu.Unlock()
	if e.Stuck {
		select {
		case <-q.done: // it has returned after all
		default:
			return e
		}
	}
	<-q.done // it does not go into the sink again
	if e.Left == 0 {
		return nil
	}
	return e
}
