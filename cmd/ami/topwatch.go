package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// How often "ami top" asks a node: how it is at all, for a Ping, for its channels,
// and for them again when events were lost.
const (
	lookEvery = time.Second
	pingEvery = 5 * time.Second
	listEvery = time.Minute
	listAgain = 10 * time.Second
)

// topBuffer is how many events may wait to be counted.
const topBuffer = 50_000

// A topWatch gathers what there is to see of the nodes of a cluster: one goroutine
// counts their events, and one for each node asks it.
type topWatch struct {
	cluster *ami.Cluster
	keys    []string
	nodes   map[string]*nodeWatch // by key, immutable
	events  *ami.Subscription
	stop    context.CancelFunc
	running sync.WaitGroup
}

// A nodeWatch gathers what there is to see of a node.
type nodeWatch struct {
	client *ami.Client
	tally  tally
	wake   chan struct{} // one slot: look before it is time

	// Of the goroutine that asks.
	epoch            uint64
	pingAt, listAt   time.Time
	noList, settings bool // in this session: refused, answered

	mu         sync.Mutex
	version    string
	latency    time.Duration // of the last Ping; 0: none was answered in this session
	pinged     time.Time     // when the one was sent that is not answered yet
	wanted     bool          // privileges, by whoever looks at the details
	privileges *privileges   // in this session
	doubtful   bool          // the channels are
}

// A nodeSample is what is known of a node at one time.
type nodeSample struct {
	key, addr  string
	stats      ami.Stats
	names      map[string]uint64 // how often each event came
	lost       uint64
	gap        *pastGap
	channels   int // -1: not known
	version    string
	latency    time.Duration // 0: not known
	privileges *privileges
}

// newTopWatch watches the nodes of a cluster. It is called before that runs, and
// start as well: nothing is missed.
func newTopWatch(cluster *ami.Cluster) *topWatch {
	w := &topWatch{cluster: cluster, nodes: make(map[string]*nodeWatch), events: cluster.Subscribe(ami.Buffer(topBuffer))}
	for key, client := range cluster.Nodes() {
		w.keys = append(w.keys, key)
		w.nodes[key] = &nodeWatch{client: client, wake: make(chan struct{}, 1)}
	}
	return w
}

// start starts the goroutines. close ends them.
func (w *topWatch) start(ctx context.Context) {
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	changes := w.cluster.StateChanges(ctx)
	w.running.Go(func() {
		for change := range changes {
			w.nodes[change.Node].hurry()
		}
	})
	w.running.Go(func() { w.count(ctx) })
	for _, n := range w.nodes {
		w.running.Go(func() { n.run(ctx) })
	}
}

func (w *topWatch) close() {
	w.stop()
	w.running.Wait()
	w.events.Close()
}

// count counts events until ctx ends.
func (w *topWatch) count(ctx context.Context) {
	for e, err := range w.events.All(ctx) {
		if err != nil {
			return
		}
		if n := w.nodes[e.Node]; n.tally.add(e) {
			n.doubt()
		}
	}
}

// sample returns what is known now, in the order of the configuration.
func (w *topWatch) sample() []nodeSample {
	all := make([]nodeSample, len(w.keys))
	for i, key := range w.keys {
		all[i] = w.nodes[key].sample(time.Now())
	}
	return all
}

// look has the privileges of a node found out.
func (w *topWatch) look(key string) {
	n := w.nodes[key]
	n.mu.Lock()
	n.wanted = true
	n.mu.Unlock()
	n.hurry()
}

func (n *nodeWatch) hurry() {
	select {
	case n.wake <- struct{}{}:
	default: // told already
	}
}

// doubt has the channels listed again, soon.
func (n *nodeWatch) doubt() {
	n.mu.Lock()
	news := !n.doubtful
	n.doubtful = true
	n.mu.Unlock()
	if news {
		n.hurry()
	}
}

func (n *nodeWatch) sample(now time.Time) nodeSample {
	node := n.client.Node()
	s := nodeSample{key: node.Key, addr: node.Addr, stats: n.client.Stats()}
	n.tally.mu.Lock()
	s.names = make(map[string]uint64, len(n.tally.names))
	for name, count := range n.tally.names {
		s.names[name] = *count
	}
	s.lost, s.gap, s.channels = n.tally.lost, n.tally.gap, n.tally.channels.count()
	n.tally.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	s.version, s.privileges = n.version, n.privileges
	if s.stats.State != ami.Ready {
		s.channels = -1
		return s
	}
	s.latency = n.latency
	if !n.pinged.IsZero() { // it takes as long at least
		s.latency = max(s.latency, now.Sub(n.pinged))
	}
	return s
}

// run asks the node until ctx ends.
func (n *nodeWatch) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		n.ask(ctx)
		select {
		case <-ticker.C:
		case <-n.wake:
		case <-ctx.Done():
			return
		}
	}
}

// ask asks the node for what it is time for.
func (n *nodeWatch) ask(ctx context.Context) {
	now := n.client.Stats()
	if now.State != ami.Ready {
		return
	}
	if now.Epoch != n.epoch {
		n.begin(now.Epoch)
	}
	if !time.Now().Before(n.pingAt) {
		n.pingAt = time.Now().Add(pingEvery)
		n.ping(ctx)
	}
	if !n.settings {
		n.settings = n.setVersion(ctx)
	}
	if n.listDue() {
		n.list(ctx)
	}
	n.mu.Lock()
	wanted := n.wanted && n.privileges == nil
	n.mu.Unlock()
	if wanted {
		p := askPrivileges(ctx, n.client)
		n.mu.Lock()
		n.privileges = &p
		n.mu.Unlock()
	}
}

// begin forgets what was true of another session.
func (n *nodeWatch) begin(epoch uint64) {
	n.epoch, n.pingAt, n.listAt, n.noList, n.settings = epoch, time.Time{}, time.Time{}, false, false
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency, n.privileges = 0, nil
}

func (n *nodeWatch) ping(ctx context.Context) {
	start := time.Now()
	n.mu.Lock()
	n.pinged = start
	n.mu.Unlock()
	_, err := n.client.Send(ctx, action.Ping{})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pinged = time.Time{}
	if err == nil {
		n.latency = time.Since(start)
	}
}

// setVersion reports whether there is an answer, be it that the user may not ask.
func (n *nodeWatch) setVersion(ctx context.Context) bool {
	settings, err := ami.Call(ctx, n.client, action.CoreSettings{})
	if err != nil {
		return errors.Is(err, ami.ErrPermission)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.version = settings.AsteriskVersion
	return true
}

// listDue reports whether to ask for the channels. If there is doubt about them
// that is soon, and at once if nothing is known.
func (n *nodeWatch) listDue() bool {
	n.tally.mu.Lock()
	known := n.tally.channels.known
	n.tally.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	due := n.listAt
	switch {
	case n.noList:
		return false
	case n.doubtful && !known:
		return true
	case n.doubtful:
		due = due.Add(listAgain - listEvery)
	}
	return !time.Now().Before(due)
}

// list asks for the channels.
func (n *nodeWatch) list(ctx context.Context) {
	n.listAt = time.Now().Add(listEvery)
	n.mu.Lock()
	n.doubtful = false
	n.mu.Unlock()
	n.tally.mu.Lock()
	n.tally.channels.ask()
	n.tally.mu.Unlock()
	found, err := ami.Call(ctx, n.client, action.CoreShowChannels{})
	n.tally.mu.Lock()
	defer n.tally.mu.Unlock()
	if err != nil {
		n.noList = errors.Is(err, ami.ErrPermission)
		n.listAt = time.Now().Add(listAgain)
		n.tally.channels.refused()
		return
	}
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.Channel.UniqueID
	}
	n.tally.channels.listed(ids)
}
