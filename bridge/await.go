package bridge

import (
	"context"
	"maps"
	"sync"
)

// waiters wait for the publisher to be done with a group's records up to a number.
type waiters struct {
	mu   sync.Mutex
	done map[string]uint64 // by group, of those that anybody has asked for
	more chan struct{}     // closed at the next change, then replaced
}

// await waits until the record of that number was published, or was dropped. It
// reports false if ctx ended first.
func (p *publisher) await(ctx context.Context, group string, seq uint64) bool {
	w := &p.waiters
	for {
		w.mu.Lock()
		if w.done[group] >= seq {
			w.mu.Unlock()
			return true
		}
		if w.more == nil {
			w.more = make(chan struct{})
		}
		more := w.more
		w.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// passed tells the waiters that all up to heads is out.
func (w *waiters) passed(heads map[string]uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil || len(w.done) > headsMost {
		w.done = make(map[string]uint64, len(heads))
	}
	maps.Copy(w.done, heads)
	if w.more != nil {
		close(w.more)
		w.more = nil
	}
}
