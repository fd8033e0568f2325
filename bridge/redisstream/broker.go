package redisstream

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/apn/ami/bridge"
)

// A Broker is the streams of a server. It has a connection for records and one
// for states. All methods may be called from any goroutine; calls of Publish wait
// for each other, and so do those of PutState. Use Open.
type Broker struct {
	o Options

	ctx context.Context // ends with Close
	end context.CancelCauseFunc

	publishing sync.Mutex // held by Publish
	records    *link      // nil: not connected
	batch      batch

	putting sync.Mutex // held by PutState
	states  *link      // nil: not connected

	counts counts
}

var (
	_ bridge.Broker     = (*Broker)(nil)
	_ bridge.StateStore = (*Broker)(nil)
)

// Stats count since Open.
type Stats struct {
	Published  uint64 // records confirmed, duplicates included
	Duplicates uint64 // records that the server had already
	Refused    uint64 // records that will never be stored
	Connects   uint64 // connections that were tried
}

type counts struct {
	published, duplicates, refused, connects atomic.Uint64
}

// Open connects to the server and makes sure that it takes writes, unless
// Options.Lazy is set. The error is *ami.ConfigError for Options that cannot be,
// *DeniedError for what the server does not permit, *KeyError for a key that holds
// something else, ErrFull, and otherwise says that the server cannot be reached.
//
// The first call of Open in a process silences the log of go-redis, which would
// otherwise write to standard error; redis.SetLogger behind it gives it back.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	b := &Broker{o: o}
	b.ctx, b.end = context.WithCancelCause(context.Background())
	silent()
	if o.Lazy {
		return b, nil
	}
	b.publishing.Lock()
	defer b.publishing.Unlock()
	if _, err := b.store(ctx, nil); err != nil {
		b.end(err)
		b.drop(&b.records)
		return nil, err
	}
	return b, nil
}

// Stats may be called at any time, also after Close.
func (b *Broker) Stats() Stats {
	c := &b.counts
	return Stats{c.published.Load(), c.duplicates.Load(), c.refused.Load(), c.connects.Load()}
}

// Close ends the connections and waits for calls that run: they return ErrClosed.
// The error is nil.
func (b *Broker) Close() error {
	b.end(ErrClosed)
	b.publishing.Lock()
	defer b.publishing.Unlock()
	b.drop(&b.records)
	b.putting.Lock()
	defer b.putting.Unlock()
	b.drop(&b.states)
	return nil
}

// bound returns a context that ends with Close as well.
func (b *Broker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.ctx, func() { cancel(context.Cause(b.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}
