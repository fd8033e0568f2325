package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// A shelf is a Broker in memory that fails as it is told.
type shelf struct {
	mu      sync.Mutex
	records []Record // as stored, each once
	ids     map[string]bool
	twice   int // records that came again
	away    bool
	losing  bool // stores and does not confirm
	most    int  // stores so many of a call at most; 0: all
	refuse  func(r *Record) error
	calls   int
	closed  int
	more    chan struct{}
}

func newShelf() *shelf { return &shelf{ids: make(map[string]bool), more: make(chan struct{}, 1)} }

var errAway = errors.New("away")

func (s *shelf) Publish(_ context.Context, records []Record) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.more <- struct{}{}:
		default:
		}
	}()
	s.calls++
	if s.away {
		return 0, errAway
	}
	for i := range records {
		r := records[i]
		if s.most > 0 && i == s.most {
			return i, errAway
		}
		if s.refuse != nil {
			if err := s.refuse(&r); err != nil {
				return i, &RefusedError{ID: r.ID(), Node: r.Node, Err: err}
			}
		}
		if s.ids[r.ID()] {
			s.twice++
			continue
		}
		s.ids[r.ID()] = true
		r.Payload = append([]byte(nil), r.Payload...)
		s.records = append(s.records, r)
	}
	if s.losing {
		s.losing = false
		return 0, errAway
	}
	return len(records), nil
}

func (s *shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

// set changes how it fails.
func (s *shelf) set(change func(s *shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shelf) all() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Record(nil), s.records...)
}

// await waits until the records are as wanted.
func (s *shelf) await(t testing.TB, want func([]Record) bool) []Record {
	t.Helper()
	late := time.After(soon)
	for {
		if all := s.all(); want(all) {
			return all
		}
		select {
		case <-s.more:
		case <-late:
			all := s.all()
			require.Fail(t, "records never came", "%d records, the last: %s", len(all), describe(all[max(0, len(all)-20):]))
		}
	}
}

func describe(records []Record) (s string) {
	for i := range records {
		s += fmt.Sprintf("\n%s %s %s", records[i].ID(), records[i].Name, records[i].Payload)
	}
	return s
}

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute

// A payload is what a record says.
type payload struct {
	Kind    string          `json:"kind"`
	ID      string          `json:"id"`
	Node    string          `json:"node"`
	Epoch   uint64          `json:"epoch"`
	Seq     uint64          `json:"seq"`
	Lost    uint64          `json:"lost"`
	Event   string          `json:"event"`
	State   string          `json:"state"`
	Headers map[string]any  `json:"headers"`
	Gap     *payloadGap     `json:"gap"`
	Time    time.Time       `json:"time"`
	Data    json.RawMessage `json:"data"`
}

type payloadGap struct {
	From, To uint64
	Reason   string
	After    string
	Final    bool
	DownMS   float64 `json:"down_ms"`
}

func read(t testing.TB, r *Record) payload {
	t.Helper()
	var p payload
	require.NoError(t, json.Unmarshal(r.Payload, &p), "%s", r.Payload)
	require.Equal(t, r.ID(), p.ID)
	require.Equal(t, r.Kind.String(), p.Kind)
	return p
}

// verify says of each hold that its numbers have no holes but those that gaps
// tell, and returns how many flood events of each node came, and how many records
// gaps tell to be lost.
func verify(t testing.TB, records []Record) (events map[string]int, lost uint64) {
	t.Helper()
	events = make(map[string]int)
	seqs, flood := make(map[string]uint64), make(map[string]int)
	for i := range records {
		r := &records[i]
		p := read(t, r)
		lost += p.Lost
		group := groupOf(r.Instance, r.Node)
		missing := r.Seq - seqs[group] - 1
		if missing > 0 {
			require.Equal(t, KindGap, r.Kind, "a hole before %s", r.ID())
			require.Equal(t, missing+1, p.Lost, "%s takes the number of the last lost one", r.ID())
		}
		require.Greater(t, r.Seq, seqs[group], r.ID())
		seqs[group] = r.Seq
		if n, ok := p.Headers["Seq"].(string); ok {
			number, err := strconv.Atoi(n)
			require.NoError(t, err)
			if number > 1 { // else another flood
				require.Greater(t, number, flood[r.Node], "the order of Asterisk")
			}
			flood[r.Node] = number
			events[r.Node]++
		}
	}
	return events, lost
}

// A rig is a bridge with fake nodes.
type rig struct {
	*Bridge
	servers map[string]*amitest.Server
	broker  *shelf
	cancel  context.CancelFunc
	done    chan error
}

// fakes makes servers by key.
func fakes(t testing.TB, keys ...string) map[string]*amitest.Server {
	servers := make(map[string]*amitest.Server)
	for _, key := range keys {
		srv := amitest.NewServer(amitest.WithoutLedger())
		t.Cleanup(srv.Close)
		servers[key] = srv
	}
	return servers
}

// clusterOf makes a cluster whose nodes are servers.
func clusterOf(t testing.TB, servers map[string]*amitest.Server, opts ...ami.Option) (*ami.Cluster, []ami.Node) {
	t.Helper()
	var nodes []ami.Node
	byAddr := make(map[string]*amitest.Server)
	for i, key := range slices.Sorted(maps.Keys(servers)) {
		addr := fmt.Sprintf("10.0.0.%d:5038", i+1)
		byAddr[addr] = servers[key]
		nodes = append(nodes, ami.Node{Key: key, Addr: addr, Username: "admin", Secret: ami.NewSecret("secret")})
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return byAddr[addr].DialContext(ctx, network, addr)
	}
	cl, err := ami.NewCluster(nodes, append([]ami.Option{ami.WithDialer(dial)}, opts...)...)
	require.NoError(t, err)
	return cl, nodes
}

// start runs a bridge until stop.
func start(t testing.TB, servers map[string]*amitest.Server, broker *shelf, o Options) *rig {
	t.Helper()
	cl, _ := clusterOf(t, servers)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Instance == "" {
		o.Instance = "test"
	}
	b, err := New(cl, broker, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	g := &rig{Bridge: b, servers: servers, broker: broker, cancel: cancel, done: make(chan error, 1)}
	go func() { g.done <- b.Run(ctx) }()
	t.Cleanup(cancel)
	return g
}

// stop ends the bridge.
func (g *rig) stop(t testing.TB) {
	t.Helper()
	g.cancel()
	require.NoError(t, <-g.done)
}

// ready waits until all nodes are.
func (g *rig) ready(t testing.TB) {
	t.Helper()
	require.NoError(t, g.cluster.Ready(t.Context(), 0))
}

func flood(t testing.TB, srv *amitest.Server, n int) {
	t.Helper()
	require.NoError(t, srv.Flood(t.Context(), 0, n))
}

// count returns how many records of a kind there are.
func count(records []Record, k Kind) (n int) {
	for i := range records {
		if records[i].Kind == k {
			n++
		}
	}
	return n
}

func floods(t testing.TB, n int) func([]Record) bool {
	return func(all []Record) bool {
		events := 0
		for i := range all {
			if all[i].Name == "UserEvent" {
				events++
			}
		}
		return events >= n
	}
}

// TestEverythingComes: from three nodes, in order, each once, although the broker
// goes away and loses confirmations.
func TestEverythingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 2000
		broker := newShelf()
		g := start(t, fakes(t, "pbx1", "pbx2", "pbx3"), broker, Options{})
		g.ready(t)
		var flooding sync.WaitGroup
		for _, srv := range g.servers {
			flooding.Go(func() { flood(t, srv, each) })
		}
		for _, fails := range []func(s *shelf){
			func(s *shelf) { s.away = true },
			func(s *shelf) { s.away, s.losing = false, true },
			func(s *shelf) { s.most = 7 },
			func(s *shelf) { s.most = 0 },
		} {
			time.Sleep(time.Second)
			broker.set(fails)
		}
		flooding.Wait()
		all := broker.await(t, floods(t, 3*each))
		events, lost := verify(t, all)
		require.Equal(t, map[string]int{"pbx1": each, "pbx2": each, "pbx3": each}, events)
		require.Zero(t, lost)
		g.stop(t)
		require.Equal(t, 1, broker.closed)
		finals := 0
		for _, r := range broker.all() {
			if r.Kind == KindGap {
				p := read(t, &r)
				require.True(t, p.Gap.Final, "%s", r.Payload)
				finals++
			}
		}
		require.Zero(t, finals, "the stream ends with the cluster, without final gaps")
	})
}

// TestLostConfirmation: what was stored and not confirmed comes again, with the
// same ID.
func TestLostConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		g := start(t, fakes(t, "pbx1"), broker, Options{})
		g.ready(t)
		synctest.Wait()
		broker.set(func(s *shelf) { s.losing = true })
		flood(t, g.servers["pbx1"], 10)
		broker.await(t, floods(t, 10))
		g.stop(t)
		require.NotZero(t, broker.twice)
		events, _ := verify(t, broker.all())
		require.Equal(t, 10, events["pbx1"])
	})
}

// TestGap: a session that dies and comes back is told between the events of the
// two, whose epochs differ.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		g := start(t, fakes(t, "pbx1"), broker, Options{})
		g.ready(t)
		flood(t, g.servers["pbx1"], 3)
		broker.await(t, floods(t, 3))
		g.servers["pbx1"].Session(1).Reset()
		time.Sleep(time.Minute)
		flood(t, g.servers["pbx1"], 2)
		all := broker.await(t, floods(t, 5))
		g.stop(t)
		verify(t, all)
		epoch, gaps := uint64(1), 0
		for _, r := range all {
			if p := read(t, &r); p.Gap != nil {
				require.Equal(t, uint64(1), p.Gap.From)
				require.Equal(t, uint64(2), p.Gap.To)
				epoch = 2
				gaps++
			}
			require.Equal(t, epoch, r.Epoch, r.ID())
		}
		require.Equal(t, 1, gaps)
	})
}

// TestStates come in order, and the latest of each is kept.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		g := start(t, fakes(t, "pbx1"), broker, Options{})
		g.ready(t)
		synctest.Wait()
		var states []string
		for _, r := range broker.all() {
			if r.Kind == KindState {
				states = append(states, read(t, &r).State)
			}
		}
		require.Equal(t, []string{"connecting", "connected", "authenticating", "ready"}, states)
		latest := g.states.all()
		require.Len(t, latest, 1)
		require.Equal(t, "ready", latest[0].State)
		require.Equal(t, uint64(1), latest[0].Epoch)
		require.NotEmpty(t, latest[0].Version)
		require.Equal(t, g.run+".1", latest[0].Instance)
		g.stop(t)
	})
}
