package jetstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
)

// A Broker is one stream of a server. It has a connection for records, one for
// takeovers and states, and one for requests while Serve runs. All methods may be
// called from any goroutine; calls of Publish wait for each other. Use Open.
type Broker struct {
	o Options

	ctx context.Context // ends with Close
	end context.CancelCauseFunc

	publishing sync.Mutex       // held by Publish
	records    *link            // nil: not connected
	width      int              // of the next window
	newest     map[string]place // of each node; see placed

	controlling sync.Mutex // held by Fence and PutState
	control     *link      // nil: not connected
	states      js.KeyValue

	serving sync.WaitGroup // calls of Serve

	closing  sync.RWMutex // held to begin a call of Serve
	counts   counts
	disorder sync.Once // it is logged
}

var (
	_ bridge.Broker     = (*Broker)(nil)
	_ bridge.StateStore = (*Broker)(nil)
	_ bridge.Requester  = (*Broker)(nil)
	_ bridge.Fencer     = (*Broker)(nil)
)

// Stats count since Open.
type Stats struct {
	Published  uint64 // records confirmed, duplicates included
	Duplicates uint64 // records that the server had already
	// Reordered counts records that are stored behind a later record of their
	// node: the server refused one for the moment, and took those behind it that
	// were on their way.
	Reordered uint64
	Refused   uint64 // records that will never be stored
	Connects  uint64 // connections made
}

type counts struct {
	published, duplicates, reordered, refused, connects atomic.Uint64
}

// Open connects to the server and creates the stream, or checks it, unless
// Options.Lazy is set. The error is *ami.ConfigError for Options that cannot be,
// *StreamError for a stream with other settings, *DeniedError for what the server
// does not permit, *jetstream.APIError of nats.go for what it cannot do, and
// otherwise says that the server cannot be reached.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	b := &Broker{o: o, width: maxWindow, newest: map[string]place{}}
	b.ctx, b.end = context.WithCancelCause(context.Background())
	if o.Lazy {
		return b, nil
	}
	if _, err := b.forRecords(ctx); err != nil {
		b.end(err)
		return nil, err
	}
	return b, nil
}

// Stats may be called at any time, also after Close.
func (b *Broker) Stats() Stats {
	c := &b.counts
	return Stats{c.published.Load(), c.duplicates.Load(), c.reordered.Load(), c.refused.Load(), c.connects.Load()}
}

// Close ends the connections and waits for calls that run: they return ErrClosed,
// those of Serve when the requests that are handled have been answered. The
// error is nil.
func (b *Broker) Close() error {
	b.closing.Lock()
	b.end(ErrClosed)
	b.closing.Unlock()
	b.publishing.Lock()
	defer b.publishing.Unlock()
	b.drop(&b.records, ErrClosed)
	b.controlling.Lock()
	defer b.controlling.Unlock()
	b.drop(&b.control, ErrClosed)
	b.serving.Wait()
	return nil
}

// bound returns a context that ends with Close as well.
func (b *Broker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.ctx, func() { cancel(context.Cause(b.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// forRecords returns the link for records. The caller holds publishing.
func (b *Broker) forRecords(ctx context.Context) (*link, error) {
	return b.get(ctx, &b.records)
}

// forControl returns the link for takeovers and states. The caller holds
// controlling.
func (b *Broker) forControl(ctx context.Context) (*link, error) {
	if b.control != nil && b.control.ctx.Err() != nil {
		b.states = nil
	}
	return b.get(ctx, &b.control)
}

func (b *Broker) get(ctx context.Context, at **link) (*link, error) {
	if l := *at; l != nil {
		if l.ctx.Err() == nil {
			return l, nil
		}
		b.drop(at, nil)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	l, err := b.o.dial(ctx, at == &b.records)
	if err != nil {
		return nil, err
	}
	b.counts.connects.Add(1)
	*at = l
	return l, nil
}

// drop ends a link: the next that needs one makes it anew.
func (b *Broker) drop(at **link, reason error) {
	if l := *at; l != nil {
		l.close(reason)
		*at = nil
	}
}

// refused tells whether err concerns a record alone.
func refused(err error) bool {
	_, ok := errors.AsType[*bridge.RefusedError](err)
	return ok
}
