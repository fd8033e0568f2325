package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
	amijs "github.com/apn/ami/bridge/jetstream"
	"github.com/apn/ami/bridge/lease"
	"github.com/apn/ami/bridge/redisstream"
)

// asBridge makes the test binary be a bridge. Its value says what bridge.
const asBridge = "TEST_AS_BRIDGE"

// A setup is what a process that is a bridge is told.
type setup struct {
	Dir, URL string
	Nodes    map[string]string // addresses by key
	Instance string            // with leases; "": without
}

// beBridge is that process, until SIGTERM.
func beBridge() {
	var s setup
	if err := json.Unmarshal([]byte(os.Getenv(asBridge)), &s); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := s.run(ctx); err != nil {
		panic(err)
	}
}

func (s *setup) run(ctx context.Context) error {
	var nodes []ami.Node
	for key, addr := range s.Nodes {
		nodes = append(nodes, ami.Node{Key: key, Addr: addr, Username: "admin", Secret: ami.NewSecret("secret")})
	}
	cl, err := ami.NewCluster(nodes, ami.WithEventQueue(1_000_000)) // nothing may be lost, however busy the processor
	if err != nil {
		return err
	}
	var broker bridge.Broker
	if strings.HasPrefix(s.URL, "redis:") {
		broker, err = redisstream.Open(ctx, redisstream.Options{URL: s.URL, Lazy: true, MaxLen: -1})
	} else {
		broker, err = amijs.Open(ctx, amijs.Options{URL: s.URL, Lazy: true})
	}
	if err != nil {
		return err
	}
	o := bridge.Options{Dir: s.Dir, Instance: "endtoend", Buffer: 1_000_000}
	if s.Instance != "" {
		nc, err := nats.Connect(s.URL, nats.MaxReconnects(-1))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		if o.Leases, err = lease.New(js, lease.Options{Instance: s.Instance, TTL: leaseTime}); err != nil {
			return err
		}
		o.Instance, o.Nodes = s.Instance, nodes
	}
	b, err := bridge.New(cl, broker, o)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	health := &http.Server{Handler: b.Handler(), ReadHeaderTimeout: soon}
	go func() { _ = health.Serve(l) }()
	defer func() { _ = health.Close() }()
	if err := os.WriteFile(filepath.Join(s.Dir, "http"), []byte(l.Addr().String()), 0o600); err != nil {
		return err
	}
	return b.Run(ctx)
}

// A child is a process that is a bridge.
type child struct {
	*exec.Cmd
	log bytes.Buffer
}

func (s *setup) start(t *testing.T) *child {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), asBridge+"="+string(text))
	c.Stderr = &c.log
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// A site is a broker, fake nodes and a bridge, all of which may die.
type site struct {
	setup
	store
	servers map[string]*amitest.Server
}

// asterisk is one that gives up no session because a busy machine writes late, and
// forgets nothing meanwhile.
func asterisk(t *testing.T) *amitest.Server {
	t.Helper()
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger(), amitest.WithWriteTimeout(time.Hour), amitest.WithEventRetention(time.Hour))
	t.Cleanup(srv.Close)
	return srv
}

// A store is the server of a broker.
type store interface {
	// serve starts it, again where it was.
	serve(t *testing.T) (url string)
	kill(t *testing.T)
	// count returns how many records it has, 0 if it is away.
	count(t *testing.T) int
	// read hands out the payloads of so many records from the beginning, those of
	// each node in their order.
	read(t *testing.T, records int, each func(payload []byte))
}

// revive starts the broker, again where it was.
func (s *site) revive(t *testing.T) {
	t.Helper()
	s.URL = s.serve(t)
}

func (s *site) atLeast(t *testing.T, n int) {
	t.Helper()
	if !assert.Eventually(t, func() bool { return s.count(t) >= n }, 2*time.Minute, 20*time.Millisecond) {
		require.Fail(t, "messages are missing", "%d of %d", s.count(t), n)
	}
}

// flood sends n events on each node, rate of them in a second, 0 for as many as the
// sockets take. phase stands in each of them.
func (s *site) flood(t *testing.T, phase, rate, n int) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, srv := range s.servers {
		all.Go(func() { _ = srv.Flood(t.Context(), rate, n, amitest.F("Phase", strconv.Itoa(phase))) })
	}
	return &all
}

// stream sends events on each node, about rate of them in a second, until stop is
// closed, and then some more. The function returned waits for the end and says how
// many a node had.
func (s *site) stream(phase, rate int, stop <-chan struct{}) (sent func() map[string]int) {
	const more = 100
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := make(map[string]int)
	for key, srv := range s.servers {
		all.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			n, left := 0, more
			for left > 0 {
				select {
				case <-stop:
					left--
				case <-tick.C:
				}
				for range max(rate/100, 1) {
					n++
					srv.Broadcast("UserEvent", amitest.ClassUser, amitest.F("UserEvent", "Stream"), amitest.F("Phase", strconv.Itoa(phase)), amitest.F("Seq", strconv.Itoa(n)))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			counts[key] = n
		})
	}
	return func() map[string]int {
		all.Wait()
		return counts
	}
}

// sessions waits until n bridges are logged in everywhere.
func (s *site) sessions(t *testing.T, n int) {
	t.Helper()
	for _, srv := range s.servers {
		require.NoError(t, srv.WaitSessions(t.Context(), n))
	}
}

// TestEndToEnd: all that three nodes send is in the broker, once and in order,
// although that dies twice and the bridge is killed once. What was on the socket
// then is missing, and a gap tells it.
func TestEndToEnd(t *testing.T) {
	for name, made := range map[string]func(t *testing.T) store{"JetStream": newJetStream, "Redis": newRedis} {
		t.Run(name, func(t *testing.T) { endToEnd(t, made(t)) })
	}
}

func endToEnd(t *testing.T, broker store) {
	s := &site{store: broker, servers: make(map[string]*amitest.Server)}
	s.Dir, s.Nodes = t.TempDir(), make(map[string]string)
	for _, key := range []string{"pbx1", "pbx2", "pbx3"} {
		srv := asterisk(t)
		s.servers[key], s.Nodes[key] = srv, srv.Addr()
	}
	s.revive(t)

	c := s.start(t)
	s.sessions(t, 1)
	const part = each / 3
	flooding := s.flood(t, 1, 0, part)
	s.atLeast(t, part/2)
	s.kill(t)
	flooding.Wait()
	s.revive(t)
	s.atLeast(t, 3*part)

	stop := make(chan struct{})
	sent := s.stream(2, part/2, stop)
	s.atLeast(t, 3*part+part/2)
	require.NoError(t, c.Process.Kill())
	_ = c.Wait()
	close(stop)
	second := sent()
	s.sessions(t, 0) // those of the dead must not count for the next

	c = s.start(t)
	s.sessions(t, 1)
	before := s.count(t)
	flooding = s.flood(t, 3, 0, part)
	s.atLeast(t, before+part/2)
	s.kill(t)
	flooding.Wait()
	s.revive(t)
	s.atLeast(t, before+3*part)
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.NoError(t, c.Wait(), c.log.String())
	s.verify(t, part, second)
	left, err := filepath.Glob(filepath.Join(s.Dir, "spool", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, left)
	s.kill(t)
}

// verify reads all that the broker has. Of the phases, the first and the last had
// part events on each node, and the second as many as it says.
func (s *site) verify(t *testing.T, part int, second map[string]int) {
	t.Helper()
	ids, seqs := make(map[string]bool), make(map[string]uint64)
	type place struct{ phase, number int }
	last, gaps, missing, came := make(map[string]place), make(map[string]int), 0, 0
	doubtful := make(map[string]bool) // a gap came since the last event
	s.read(t, s.count(t), func(payload []byte) {
		var p struct {
			ID, Node, Kind, Event string
			Seq, Lost             uint64
			Headers               map[string]any
		}
		require.NoError(t, json.Unmarshal(payload, &p))
		require.False(t, ids[p.ID], "%s comes twice", p.ID)
		ids[p.ID] = true
		hold := p.ID[:strings.IndexByte(p.ID, '/')] + p.Node
		require.Equal(t, seqs[hold]+1, p.Seq, p.ID)
		seqs[hold] = p.Seq
		require.Zero(t, p.Lost, p.ID)
		switch {
		case p.Kind == "gap":
			gaps[p.Node]++
			doubtful[p.Node] = true
		case p.Event == "UserEvent":
			phase, err := strconv.Atoi(p.Headers["Phase"].(string))
			require.NoError(t, err)
			number, err := strconv.Atoi(p.Headers["Seq"].(string))
			require.NoError(t, err)
			was, now := last[p.Node], place{phase, number}
			before := []int{0, 0, part, part + second[p.Node]} // a phase
			hole := before[now.phase] + now.number - before[was.phase] - was.number - 1
			require.GreaterOrEqual(t, hole, 0, "%s: %v after %v", p.Node, now, was)
			if hole > 0 {
				require.True(t, doubtful[p.Node], "%s: %v after %v, and no gap between", p.Node, now, was)
			}
			missing += hole
			doubtful[p.Node] = false
			last[p.Node] = now
			came++
		}
	})
	for node := range s.servers {
		require.Equal(t, place{3, part}, last[node], node)
		require.Equal(t, 1, gaps[node], "%s: for the kill", node)
	}
	total := 2 * 3 * part
	for _, n := range second {
		total += n
	}
	require.Equal(t, total, came+missing)
	require.Positive(t, missing, "the second phase went on after the kill")
	t.Logf("%d events came, %d were on the sockets of the process that was killed", came, missing)
}

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute
