package bridge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/spool"
)

// A Bridge connects a cluster with a broker. Its methods may be called from any
// goroutine.
type Bridge struct {
	cluster  *ami.Cluster
	broker   Broker
	options  Options
	run      string // the name of this start
	rules    map[string]*rule
	states   *states
	metrics  *metrics
	registry *prometheus.Registry
	lost     lossCount

	started atomic.Bool
	work    atomic.Pointer[work] // nil before and after Run
}

// work is what there is while a bridge runs.
type work struct {
	spool     *spool.Spool
	memory    *memory
	journal   *journal
	writer    *writer
	publisher *publisher
	leaving   atomic.Bool // Run is about to end
}

// ErrStarted is what Run returns if it was called before: a Bridge runs once.
var ErrStarted = errors.New("bridge: it has run already")

// New checks the options and returns a Bridge that does nothing yet. The cluster
// must not run: the bridge runs it, so that it hears everything. It may be changed
// by Add and Remove at any time, but not with Leases. The broker is the bridge's
// from now on. The error is an *OptionError.
func New(cluster *ami.Cluster, broker Broker, o Options) (*Bridge, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	rules, err := o.Allow.rules()
	if err != nil {
		return nil, err
	}
	for key, names := range o.Allow.unheard() {
		o.Logger.Warn("requests may ask for actions that no Asterisk from 18 to 23 has: misspelt, unless they are your own", "list", key, "actions", names)
	}
	store, _ := broker.(StateStore)
	b := &Bridge{
		cluster: cluster, broker: broker, options: o, run: newRun(o.Instance, time.Now()), rules: rules,
		states: newStates(store, o.Logger), registry: prometheus.NewRegistry(),
	}
	b.metrics = newMetrics(b)
	for _, c := range append([]prometheus.Collector{b.metrics}, o.Metrics...) {
		if err := b.registry.Register(c); err != nil {
			return nil, &OptionError{Option: "Metrics", Reason: err.Error(), Err: err}
		}
	}
	return b, nil
}

// Run runs the cluster and publishes what its nodes send, until ctx ends. Then it
// takes no more requests, logs the nodes off when their pending actions have their
// answers, and publishes what was received, all until Options.Grace has passed.
// What is left is in the spool, for the next start. It closes the broker at its
// end.
//
// A broker that is away is waited for. Run returns nil after ctx has ended, and an
// error if it could not begin, or if the leases ended for good: ErrStarted, a
// *spool.Error or *spool.ConfigError, one of Keeper.Run, or that of a file in
// Options.Dir.
func (b *Bridge) Run(ctx context.Context) (err error) {
	if b.started.Swap(true) {
		return ErrStarted
	}
	defer func() { err = errors.Join(err, b.broker.Close()) }()
	w, err := b.prepare()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.spool.Close()) }()
	b.work.Store(w)
	defer b.work.Store(nil)
	return b.bridge(ctx, w)
}

// prepare opens what is on disk.
func (b *Bridge) prepare() (*work, error) {
	o := &b.options
	s, err := spool.Open(filepath.Join(o.Dir, "spool"), o.Spool)
	if err != nil {
		return nil, err
	}
	m, err := openMemory(filepath.Join(o.Dir, "nodes.json"), s.Sync, o.Logger)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	var v *envelope
	if o.CloudEvents {
		v = &envelope{source: o.Source}
	}
	w := &work{spool: s, memory: m, journal: newJournal(b.run, o.Leases != nil, v, m, &b.lost)}
	w.writer = &writer{journal: w.journal, spool: s, memory: m, lost: &b.lost, log: o.Logger}
	w.publisher = newPublisher(w, b, v)
	return w, nil
}

// bridge runs all parts and ends them in the order in which what is received goes
// through them.
func (b *Bridge) bridge(ctx context.Context, w *work) error {
	o := &b.options
	leases, err := b.newLeases(w)
	if err != nil {
		return err
	}
	if leases != nil {
		w.publisher.fenced = leases.fenced
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	last, kill := context.WithCancel(context.WithoutCancel(ctx)) // ends with the grace
	defer kill()
	reading, drain := context.WithCancel(last)
	defer drain()

	// The parts at the end of the way begin first.
	var publishing, keeping, writing, hearing, leasing sync.WaitGroup
	publishing.Go(func() { w.publisher.run(last, reading) })
	remembering, forget := context.WithCancel(last)
	defer forget()
	keeping.Go(func() { w.memory.keep(remembering) })
	storing, unstore := context.WithCancel(last)
	defer unstore()
	if b.states.store != nil {
		keeping.Go(func() { b.states.run(storing) })
	}
	writing.Go(w.writer.run)
	events := b.cluster.Subscribe(ami.Buffer(o.Buffer))
	changes := b.cluster.StateChanges(context.WithoutCancel(ctx))
	hearing.Go(func() { w.journal.events(events) })
	hearing.Go(func() {
		for c := range changes {
			b.changed(w.journal, &c)
		}
	})
	hearing.Go(func() {
		if e := b.cluster.Run(last); e != nil { // it runs already, or has ended
			stop(e)
		}
	})
	var serving sync.WaitGroup
	if r, ok := b.broker.(Requester); ok {
		serving.Go(func() { b.serve(ctx, r) })
	}
	if leases != nil {
		leasing.Go(func() {
			if e := leases.run(ctx, last); e != nil {
				stop(e)
			}
		})
	}
	o.Logger.Info("bridge runs", "instance", b.run, "waiting", w.spool.Stats().Entries)

	<-ctx.Done()
	w.leaving.Store(true)
	grace := time.AfterFunc(o.Grace, kill)
	defer grace.Stop()
	leasing.Wait() // they have let go of the nodes
	quiet, cancel := context.WithTimeout(last, o.Grace/2)
	defer cancel()
	if e := b.cluster.Shutdown(quiet); e != nil {
		o.Logger.Warn("actions were cut short", "error", e)
	}
	serving.Wait() // no action is pending any more
	hearing.Wait() // subscription and changes have ended with the cluster
	w.journal.finish()
	writing.Wait()
	drain()
	publishing.Wait()
	b.states.settle(last, "")
	unstore()
	forget()
	keeping.Wait()
	o.Logger.Info("bridge stopped", "instance", b.run, "left", w.spool.Stats().Entries)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// changed takes note of a change of state.
func (b *Bridge) changed(j *journal, c *ami.StateChange) {
	if c.Missed > 0 {
		b.options.Logger.Warn("changes of state were missed", "changes", c.Missed)
	}
	s := stateOf(b.cluster, c)
	if j.state(c, &s) {
		b.states.set(s)
	}
}

// serve takes requests until ctx ends.
func (b *Bridge) serve(ctx context.Context, r Requester) {
	q := &requests{
		cluster: b.cluster, rules: b.rules, most: b.options.AnswerMost,
		count: func(outcome string) { b.metrics.requests.WithLabelValues(outcome).Inc() },
	}
	nodes := func() (keys []string) {
		for key := range b.cluster.Nodes() {
			keys = append(keys, key)
		}
		return keys
	}
	retry, trouble := newRetry(), ""
	for {
		start := time.Now()
		err := r.Serve(ctx, nodes, q.handle)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > retryLast {
			retry.Reset()
			trouble = ""
		}
		if text := fmt.Sprint(err); text != trouble { // once, not at each attempt
			b.options.Logger.Warn("requests are not served", "error", err)
			trouble = text
		}
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
}
