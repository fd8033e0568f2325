package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/natstest"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = 3 * time.Minute

// patiently runs a scenario with longer and longer TTLs until nothing disturbed it.
// A busy machine may stop a member for seconds, and one that was not heard of for a
// TTL is dead, rightly; then more moves than a test counts. But if that happens
// whatever the TTL, it is not the machine.
func patiently(t *testing.T, scenario func(t *testing.T, ttl time.Duration) (undisturbed bool)) {
	t.Helper()
	for _, ttl := range []time.Duration{MinTTL, DefaultTTL, patience} {
		undisturbed := false
		t.Run(ttl.String(), func(t *testing.T) {
			defer func() {
				r := recover()
				if _, ok := r.(disturbed); r != nil && !ok {
					panic(r)
				}
			}()
			undisturbed = scenario(t, ttl)
		})
		if undisturbed || t.Failed() {
			return
		}
	}
	require.Fail(t, "disturbed with every TTL", "members are taken for dead, or a takeover takes longer than twice the TTL")
}

// patience is the longest TTL of a test.
const patience = 4 * DefaultTTL

// disturbed is the panic that ends a scenario with a TTL that this machine does not
// keep.
type disturbed struct{}

// A broker is an embedded server that may be stopped and started again.
type broker struct {
	*server.Server
	opts server.Options
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{opts: server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}}
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	opts := b.opts // the server changes them
	srv, err := server.NewServer(&opts)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(soon))
	b.Server, b.opts.Port = srv, srv.Addr().(*net.TCPAddr).Port
}

func (b *broker) stop() {
	b.Shutdown()
	b.WaitForShutdown()
}

// brokers runs a test with the embedded broker, and with the distribution's.
func brokers(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, startBroker(t).ClientURL())
	})
	t.Run("debian", func(t *testing.T) {
		t.Parallel()
		test(t, natstest.System(t))
	})
}

// connect returns a connection that never gives up.
func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(soon))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(soon))
	require.NoError(t, err)
	return js
}

// A world is the members that share a bucket, and what their users hold.
type world struct {
	url    string
	bucket string
	nodes  []string
	ttl    time.Duration

	mu      sync.Mutex
	holders map[string]map[string]bool // by node: the instances whose users hold it
	gone    map[string]time.Time       // by node: since when nobody does
	worst   time.Duration              // the longest that a node was without
	moves   int                        // how often a user got a node
	dead    int                        // how often a member took another for dead
	members []*process
	grown   chan struct{}
}

// newWorld is a new bucket on a broker. It is deleted at the end.
func newWorld(t *testing.T, url string, nodes int) *world {
	t.Helper()
	w := &world{
		url: url, ttl: DefaultTTL, bucket: "AMI_LEASE_TEST_" + rand.Text(),
		holders: make(map[string]map[string]bool), gone: make(map[string]time.Time), grown: make(chan struct{}, 1),
	}
	for i := range nodes {
		w.nodes = append(w.nodes, fmt.Sprintf("pbx.%02d/ä", i))
	}
	if url == natstest.SystemURL {
		js := connect(t, url)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), soon)
			defer cancel()
			require.NoError(t, js.DeleteKeyValue(ctx, w.bucket))
		})
	}
	return w
}

// note notes what a user does.
func (w *world) note(node, instance string, holds bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holders[node] == nil {
		w.holders[node] = make(map[string]bool)
	}
	if holds {
		w.moves++
		w.holders[node][instance] = true
		if since, ok := w.gone[node]; ok {
			w.worst = max(w.worst, time.Since(since))
			delete(w.gone, node)
		}
	} else if delete(w.holders[node], instance); len(w.holders[node]) == 0 {
		w.gone[node] = time.Now()
	}
	signal(w.grown)
}

// died notes that a process is gone with all that it held.
func (w *world) died(instance string) {
	for _, node := range w.nodes {
		w.mu.Lock()
		holds := w.holders[node][instance]
		w.mu.Unlock()
		if holds {
			w.note(node, instance, false)
		}
	}
}

// undisturbed reports whether members have taken each other for dead so often, and
// not more, and have lost so many nodes by that.
func (w *world) undisturbed(deaths, lost int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.members {
		lost -= int(p.Stats().Lost)
	}
	return w.dead == deaths && lost == 0
}

// strained reports whether any member had trouble with the broker, or with another.
func (w *world) strained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	strained := w.dead > 0
	for _, p := range w.members {
		s := p.Stats()
		strained = strained || s.Outages > 0 || s.Failed > 0
	}
	return strained
}

// A witness is a log that counts the deaths that members tell.
type witness struct {
	slog.Handler
	w *world
}

func (h witness) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "a member is dead" {
		h.w.mu.Lock()
		h.w.dead++
		h.w.mu.Unlock()
	}
	return h.Handler.Handle(ctx, r)
}

func (h witness) WithAttrs(attrs []slog.Attr) slog.Handler {
	return witness{h.Handler.WithAttrs(attrs), h.w}
}

// moved returns how often users have got a node so far.
func (w *world) moved() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moves
}

// loads returns how many nodes each instance holds, and whether every node has
// exactly one holder.
func (w *world) loads() (loads map[string]int, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	loads, whole = make(map[string]int), true
	for _, node := range w.nodes {
		whole = whole && len(w.holders[node]) == 1
		for instance := range w.holders[node] {
			loads[instance]++
		}
	}
	return loads, whole
}

// await waits until every node has one holder and the loads are as wanted.
func (w *world) await(t *testing.T, want map[string]int) {
	t.Helper()
	w.until(t, func(loads map[string]int, whole bool) bool { return whole && maps.Equal(loads, want) })
}

// until waits for a state of the world.
func (w *world) until(t *testing.T, done func(loads map[string]int, whole bool) bool) {
	t.Helper()
	limit := soon
	if w.ttl < patience {
		limit = 10*w.ttl + 20*time.Second
	}
	late, look := time.After(limit), time.NewTicker(10*time.Millisecond) // done may ask for more than loads
	defer look.Stop()
	for !done(w.loads()) {
		select {
		case <-w.grown:
		case <-look.C:
		case <-late:
			if w.ttl < patience && w.strained() {
				panic(disturbed{})
			}
			loads, whole := w.loads()
			require.Failf(t, "never reached", "loads %v, whole %v", loads, whole)
		}
	}
}

// A process is a member with its own connection and a user.
type process struct {
	*Keeper
	w     *world
	leave context.CancelFunc
	done  chan struct{} // Run has returned err
	err   error
	used  chan struct{} // the user has seen the end

	mu   sync.Mutex
	slow bool     // the user does not release
	back []string // the nodes that he was asked for meanwhile
}

// join starts a member.
func (w *world) join(t *testing.T, instance string, change ...func(*Options)) *process {
	t.Helper()
	return w.joinBy(t, connect(t, w.url), instance, change...)
}

// joinBy starts a member that has a connection.
func (w *world) joinBy(t *testing.T, js jetstream.JetStream, instance string, change ...func(*Options)) *process {
	t.Helper()
	o := Options{
		Bucket: w.bucket, Instance: instance, Nodes: w.nodes, TTL: w.ttl,
		Logger: slog.New(witness{slog.NewTextHandler(t.Output(), nil), w}),
	}
	for _, c := range change {
		c(&o)
	}
	k, err := New(js, o)
	require.NoError(t, err)
	ctx, leave := context.WithCancel(context.Background())
	p := &process{Keeper: k, w: w, leave: leave, done: make(chan struct{}), used: make(chan struct{})}
	w.mu.Lock()
	w.members = append(w.members, p)
	w.mu.Unlock()
	go p.use()
	go func() {
		p.err = k.Run(ctx)
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// use does what the keeper tells.
func (p *process) use() {
	defer close(p.used)
	for c := range p.Changes() {
		p.w.note(c.Node, p.opts.Instance, c.Held)
		if c.Held {
			continue
		}
		p.mu.Lock()
		slow := p.slow
		if slow {
			p.back = append(p.back, c.Node)
		}
		p.mu.Unlock()
		if !slow {
			p.Release(c.Node)
		}
	}
	p.w.died(p.opts.Instance)
}

// asked waits until a slow user was asked for n nodes.
func (p *process) asked(t *testing.T, n int) (back []string) {
	t.Helper()
	p.w.until(t, func(map[string]int, bool) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		back = p.back
		return len(back) >= n
	})
	return back
}

// kill ends the process without a good-bye, and waits.
func (p *process) kill() {
	p.js.Conn().Close()
	_ = p.ended() // it may have ended in order before
	p.leave()
}

// quit ends it in order.
func (p *process) quit() error {
	p.leave()
	return p.ended()
}

// left is quit of one that the broker hears.
func (p *process) left(t *testing.T) {
	t.Helper()
	err := p.quit()
	if _, ok := errors.AsType[*LeaveError](err); ok && p.w.ttl < patience {
		panic(disturbed{})
	}
	require.NoError(t, err)
}

func (p *process) ended() error {
	<-p.done
	<-p.used
	return p.err
}
