package lease

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How many writes may be under way.
const maxWrites = 64

// writes are what a session is writing, one write at a time for each key. What a
// write has done is told by the watch; until that, or for a while if it failed,
// the key is left alone.
type writes struct {
	ctx     context.Context
	running *sync.WaitGroup
	limit   time.Duration // for one write
	results chan written

	keys   map[string]*attempt
	flying int
	leases time.Time // when the last write of a lease was over
}

type attempt struct {
	over  bool      // there is a result
	moved bool      // the watch has told of the key meanwhile
	until time.Time // if it is over: then the key is free again
}

// A written is the result of a write.
type written struct {
	key string
	err error
}

func newWrites(ctx context.Context, running *sync.WaitGroup, ttl time.Duration) *writes {
	return &writes{ctx: ctx, running: running, limit: ttl / 2, results: make(chan written, maxWrites), keys: make(map[string]*attempt)}
}

// start begins a write unless the key, or all, must wait. It reports whether it
// did.
func (w *writes) start(key string, now time.Time, do func(ctx context.Context) error) bool {
	if a := w.keys[key]; w.flying == maxWrites || a != nil && (!a.over || now.Before(a.until)) {
		return false
	}
	w.keys[key] = &attempt{}
	w.flying++
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(w.ctx, w.limit)
		defer cancel()
		w.results <- written{key, do(ctx)} // there is room for each
	})
	return true
}

// finish notes a result.
func (w *writes) finish(key string, now time.Time) {
	w.flying--
	if strings.HasPrefix(key, leasePrefix) {
		w.leases = now
	}
	a := w.keys[key]
	a.over, a.until = true, now.Add(w.limit/3)
	if a.moved {
		delete(w.keys, key)
	}
}

// arrived notes that the watch has told of a key.
func (w *writes) arrived(key string) {
	switch a := w.keys[key]; {
	case a == nil:
	case a.over:
		delete(w.keys, key)
	default:
		a.moved = true
	}
}

// outrun reports whether a write failed because another came first.
func outrun(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// put replaces the revision of a key; 0: there is none.
func (s *session) put(key string, record any, revision uint64, now time.Time) bool {
	value := encode(record)
	return s.writes.start(key, now, func(ctx context.Context) (err error) {
		if revision == 0 {
			_, err = s.kv.Create(ctx, key, value)
		} else {
			_, err = s.kv.Update(ctx, key, value, revision)
		}
		return err
	})
}

// remove deletes the revision of a key.
func (s *session) remove(key string, revision uint64, now time.Time) bool {
	return s.writes.start(key, now, func(ctx context.Context) error {
		return s.kv.Delete(ctx, key, jetstream.LastRevision(revision))
	})
}

// encode cannot fail: names are strings, and all else are numbers and times.
func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return b
}
