package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Keeper gets and keeps leases for one process. All methods may be called from
// any goroutine.
type Keeper struct {
	js       jetstream.JetStream
	opts     Options
	log      *slog.Logger
	session  string // names this Keeper
	ttl      time.Duration
	holds    *holds
	changes  chan Change
	started  atomic.Bool
	counters counters
	proved   atomic.Pointer[time.Time]

	mu    sync.Mutex
	nodes []string

	// Of the goroutine of Run alone.
	generation uint64
	beat       uint64 // counts the writes of the own key
	view       *view  // of the last watch
	leaving    bool
	force      <-chan time.Time // a time is over, see late
	forced     bool             // the user's is
	trouble    string           // what was last logged of the broker
}

type counters struct {
	members                      atomic.Int64
	taken, given, lost, outages  atomic.Uint64
	failedWrites, unreadableKeys atomic.Uint64
}

// Stats are counters of a Keeper since its start.
type Stats struct {
	Members    int    // now alive, as far as is known, with this one
	Held       int    // nodes now held and not asked back
	Taken      uint64 // nodes got
	Given      uint64 // nodes given up for others, or because they were taken out
	Lost       uint64 // nodes that another process took because this one was not heard of
	Outages    uint64 // how often the watch ended or was in doubt
	Failed     uint64 // writes that failed, but for races with others
	Unreadable uint64 // values in the bucket that could not be read
}

// New returns a Keeper that meets others over js. It returns an *OptionError; the
// broker is not asked before Run. The connection must not give up: MaxReconnects
// should be -1. It stays the caller's and must be open until Run has returned.
func New(js jetstream.JetStream, o Options) (*Keeper, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return &Keeper{
		js: js, opts: o, log: o.Logger.With("instance", o.Instance), session: rand.Text(), ttl: o.TTL,
		holds: newHolds(), changes: make(chan Change), nodes: o.Nodes,
	}, nil
}

// Changes is where the Keeper tells what to hold and what to let go of. There is
// one channel for all calls; it closes when Run returns: from then on nothing is
// held. A reader that is slow holds up nothing but the handover of its nodes.
func (k *Keeper) Changes() <-chan Change { return k.changes }

// Release answers a Change with Held false: the process has finished with the
// node, so that another may have it, and this one may get it again. It does
// nothing for a node that was not asked back.
func (k *Keeper) Release(node string) { k.holds.release(node) }

// Held returns the nodes that are held and were not asked back, in alphabetical
// order.
func (k *Keeper) Held() []string { return k.holds.in(held) }

// Proved returns when the heartbeat was sent that came back last, the zero time
// before the first after an outage: what others had written by then is known, and
// Held is accordingly.
func (k *Keeper) Proved() time.Time {
	if at := k.proved.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Stats returns the counters.
func (k *Keeper) Stats() Stats {
	return Stats{
		Members: int(k.counters.members.Load()), Held: len(k.Held()),
		Taken: k.counters.taken.Load(), Given: k.counters.given.Load(), Lost: k.counters.lost.Load(),
		Outages: k.counters.outages.Load(), Failed: k.counters.failedWrites.Load(), Unreadable: k.counters.unreadableKeys.Load(),
	}
}

// SetNodes changes the nodes that this process is able to hold; see
// Options.Nodes. What is held and not among them is asked back. It returns an
// *OptionError and then changes nothing.
func (k *Keeper) SetNodes(nodes []string) error {
	set, err := nodeSet(nodes)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.nodes = set
	k.mu.Unlock()
	signal(k.holds.wake)
	return nil
}

// able returns the nodes that this process is able to hold.
func (k *Keeper) able() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.nodes)
}

// Run keeps leases until ctx ends. A broker that is away is waited for; nodes
// that are held stay held meanwhile.
//
// When ctx ends, all nodes are asked back, and given to others as soon as they
// are released, or Grace has passed. It returns nil then, or a *LeaveError. Before
// that it only returns for a *VersionError, a *ReplacedError, or if the connection
// is closed (nats.ErrConnectionClosed): others then take over after a TTL.
// ErrStarted comes if Run was called before.
func (k *Keeper) Run(ctx context.Context) error {
	if !k.started.CompareAndSwap(false, true) {
		return ErrStarted
	}
	stop := make(chan struct{})
	var pump sync.WaitGroup
	pump.Go(func() { k.holds.pump(k.changes, stop) })
	defer func() {
		k.holds.abandon()
		close(stop)
		pump.Wait()
	}()
	for {
		err := k.watch(ctx)
		if err == nil {
			return nil
		}
		var version *VersionError
		var replaced *ReplacedError
		var option *OptionError
		var leave *LeaveError
		switch {
		case errors.As(err, &version), errors.As(err, &replaced), errors.As(err, &option), errors.As(err, &leave):
			return err
		case k.js.Conn().IsClosed():
			return fmt.Errorf("lease: %w", nats.ErrConnectionClosed)
		}
		k.counters.outages.Add(1)
		if text := err.Error(); text != k.trouble {
			k.log.Warn("leases cannot be kept, trying again", "error", err)
			k.trouble = text
		}
		if over, err := k.rest(ctx, err); over {
			return err
		}
	}
}

// rest waits for the broker between two watches. It reports whether that is over,
// and with what Run ends.
func (k *Keeper) rest(ctx context.Context, cause error) (over bool, err error) {
	conn := k.js.Conn()
	status := conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer conn.RemoveStatusListener(status)
	pause := time.NewTimer(k.ttl / 10)
	defer pause.Stop()
	paused := errors.Is(cause, errReconnected)
	for !paused || !conn.IsConnected() {
		if conn.IsClosed() {
			return true, fmt.Errorf("lease: %w", nats.ErrConnectionClosed)
		}
		// A broker that is away is not waited for to tell the others.
		if k.leaving && !conn.IsConnected() && len(k.holds.in(held, ending)) == 0 {
			return true, k.left(cause)
		}
		select {
		case <-pause.C:
			paused = true
		case <-status:
		case <-k.holds.wake:
		case <-k.done(ctx):
			k.leave()
		case <-k.force:
			if over, err := k.late(); over {
				return true, err
			}
		}
	}
	return false, nil
}

// done is ctx.Done until the Keeper has noticed.
func (k *Keeper) done(ctx context.Context) <-chan struct{} {
	if k.leaving {
		return nil
	}
	return ctx.Done()
}

// leave asks all nodes back.
func (k *Keeper) leave() {
	k.leaving = true
	k.force = time.After(k.opts.Grace)
	for _, node := range k.holds.in(held) {
		k.give(node)
	}
}

// left is what Run returns if the others could not be told.
func (k *Keeper) left(cause error) error {
	if k.view == nil { // there is nothing that they would have to know
		return nil
	}
	return &LeaveError{Nodes: k.holds.in(held, ending, released), Err: cause}
}

// late ends the time that the user has to let go, and later that of the broker:
// then it is over.
func (k *Keeper) late() (over bool, err error) {
	if k.forced {
		return true, k.left(errLate)
	}
	if nodes := k.holds.in(held, ending); len(nodes) > 0 {
		k.log.Warn("nodes were not released in time", "nodes", nodes)
	}
	k.holds.abandon()
	k.forced, k.force = true, time.After(k.ttl)
	return false, nil
}

// give asks a node back that others shall have.
func (k *Keeper) give(node string) {
	if k.holds.end(node, false) {
		k.counters.given.Add(1)
	}
}
