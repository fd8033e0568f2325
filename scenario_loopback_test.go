package ami_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// soakEnv sets how long TestS19KilledAndRevived runs, 60s say. Default 10s.
const soakEnv = "AMI_SOAK"

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	switch text := os.Getenv(soakEnv); {
	case text != "":
		d, err := time.ParseDuration(text)
		require.NoError(t, err, soakEnv)
		return d
	case testing.Short():
		return 3 * time.Second
	default:
		return 10 * time.Second
	}
}

// A try is what the caller was told of one try of an action.
type try struct {
	mark    string // unique
	deed    string // the action that this is a try of
	err     error
	notSent bool
}

// TestS19KilledAndRevived drives 200 nodes on real sockets that are killed and
// revived at random, for 10 s or as long as AMI_SOAK says. The ledgers of the
// servers must agree with what the callers were told: no action was executed
// twice, though each was tried again when that was said to be safe; none was
// executed after "not sent"; each that succeeded was executed. No goroutine and
// no file is left (C5, D7, H5).
func TestS19KilledAndRevived(t *testing.T) {
	const size, callers, killers = 200, 32, 4
	running := goleak.IgnoreCurrent()
	warmUp(t)
	files, _ := openFiles() // 0 on a system that does not tell

	var servers []*amitest.Server
	var nodes []ami.Node
	for i := range size {
		srv := amitest.NewServer(amitest.WithTCP(), amitest.WithWriteTimeout(10*time.Second))
		t.Cleanup(srv.Close)
		srv.Handle("Mark", func(c *amitest.Call) {
			if rand.IntN(4) == 0 { // others queue up behind it
				c.Wait(time.Duration(rand.Int64N(int64(10 * time.Millisecond))))
			}
			c.Success("")
		})
		n := node(srv)
		n.Key = fmt.Sprint("pbx", i+1)
		servers, nodes = append(servers, srv), append(nodes, n)
	}
	cl, err := ami.NewCluster(nodes,
		ami.WithBackoff(50*time.Millisecond, 500*time.Millisecond, 5*time.Millisecond),
		ami.WithBreaker(5, 300*time.Millisecond, 1), ami.WithOutboundQueue(16, 128<<10),
		ami.WithDialTimeout(10*time.Second), ami.WithLoginTimeout(10*time.Second))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- cl.Run(context.WithoutCancel(t.Context())) }()
	require.NoError(t, cl.Ready(t.Context(), 0))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	for range killers {
		work.Go(func() { killAtRandom(ctx, servers) })
	}
	log := &tries{}
	for i := range callers {
		work.Go(func() { log.act(ctx, cl, i, size) })
	}
	order := make(chan error, 1)
	sub := cl.Subscribe()
	go func() { order <- inOrder(sub) }()
	// On a machine that is busy it takes longer until enough has happened.
	late := time.Now().Add(5 * time.Minute)
	for pause(ctx, soakTime(t)); !log.enough() || logins(cl) <= 3*size; pause(ctx, 100*time.Millisecond) {
		require.True(t, time.Now().Before(late), "hardly anything happens")
	}
	cancel()
	work.Wait()
	require.NoError(t, cl.Close())
	require.NoError(t, <-done)
	require.NoError(t, <-order)
	require.ErrorIs(t, cl.Ready(t.Context(), 1), ami.ErrClosed)
	for _, srv := range servers {
		srv.Close()
	}

	log.compare(t, servers)
	require.Eventually(t, func() bool { return goleak.Find(running) == nil }, time.Minute, time.Millisecond, "goroutines left")
	left, _ := openFiles()
	require.LessOrEqual(t, left, files, "files left")
}

// killAtRandom does to one server after the other what ends sessions.
func killAtRandom(ctx context.Context, servers []*amitest.Server) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		srv := servers[rand.IntN(len(servers))]
		sessions := srv.Sessions()
		switch rand.IntN(7) {
		case 0:
			srv.Drop()
			revive(ctx, srv)
		case 1:
			srv.Shutdown(false)
			revive(ctx, srv)
		case 2: // what has arrived is executed, and the answer lost
			srv.SetFaults(amitest.Faults{ResetAfterAction: 2 + rand.IntN(20)})
		case 3: // what has arrived is not executed
			srv.SetFaults(amitest.Faults{ResetOnAction: 2 + rand.IntN(20)})
		case 4:
			srv.SetFaults(amitest.Faults{})
			for _, s := range sessions {
				s.Reset()
			}
		case 5: // logins fail on the way
			srv.SetFaults(amitest.Faults{CloseAfterBytes: 10 + rand.Int64N(140)})
			for _, s := range sessions {
				s.Kick()
			}
		case 6:
			for _, s := range sessions {
				s.CloseMidFrame()
			}
		}
	}
}

// revive brings a server back on its old port. Another socket may have got that
// meanwhile; then it stays down until the next time.
func revive(ctx context.Context, srv *amitest.Server) {
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(30 * time.Millisecond))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	_ = srv.Start(0)
}

// tries is what the callers were told.
type tries struct {
	number atomic.Int64

	mu  sync.Mutex
	all []try
}

// enough tells whether each outcome was told of often enough to be a test.
func (l *tries) enough() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var done, notSent, unsure int
	for _, o := range l.all {
		switch {
		case o.err == nil:
			done++
		case o.notSent:
			notSent++
		default:
			unsure++
		}
	}
	return min(done, notSent, unsure) >= 100
}

// logins is how often the nodes were logged in to, in all.
func logins(cl *ami.Cluster) (n int) {
	for _, c := range cl.Nodes() {
		n += int(c.Stats().Connects)
	}
	return n
}

// act sends actions, several at a time, until ctx ends, and again whatever is
// safe to be sent again.
func (l *tries) act(ctx context.Context, cl *ami.Cluster, caller, size int) {
	for i := 0; ctx.Err() == nil; i++ {
		deed := fmt.Sprintf("deed-%d-%d", caller, i)
		var opts []ami.SendOption
		switch i % 4 {
		case 0:
			opts = append(opts, ami.ByKey(deed))
		case 1:
			opts = append(opts, ami.To(fmt.Sprint("pbx", rand.IntN(size)+1)))
		case 2: // crowded: its queue overflows
			opts = append(opts, ami.To(fmt.Sprint("pbx", rand.IntN(3)+1)))
		}
		var burst sync.WaitGroup
		for b := range 8 {
			burst.Go(func() { l.do(ctx, cl, fmt.Sprint(deed, "-", b), opts) })
		}
		burst.Wait()
	}
}

func (l *tries) do(ctx context.Context, cl *ami.Cluster, deed string, opts []ami.SendOption) {
	for range 5 {
		mark := fmt.Sprint("mark-", l.number.Add(1))
		// Some give up in the middle: that, too, must be told exactly.
		actx, cancel := context.WithTimeout(ctx, time.Duration(rand.Int64N(int64(200*time.Millisecond))))
		_, err := cl.Send(actx, action.Custom("Mark", "Mark", mark, "Deed", deed), opts...)
		cancel()
		o := try{mark, deed, err, err != nil && ami.SafeToRetry(err)}
		l.mu.Lock()
		l.all = append(l.all, o)
		l.mu.Unlock()
		if !o.notSent {
			return
		}
	}
}

// compare holds the ledgers against what was told.
func (l *tries) compare(t *testing.T, servers []*amitest.Server) {
	t.Helper()
	marks, deeds := map[string]int{}, map[string]int{}
	sessions := 0
	for _, srv := range servers {
		seen := map[int]bool{}
		for _, e := range srv.Ledger() {
			seen[e.Session] = true
			if e.Action != "Mark" || !e.Executed {
				continue
			}
			for _, f := range e.Fields {
				switch f.Key {
				case "Mark":
					marks[f.Value]++
				case "Deed":
					deeds[f.Value]++
				}
			}
		}
		sessions += len(seen)
	}
	var done, notSent, unsure, unsureDone int
	for _, o := range l.all {
		n := marks[o.mark]
		delete(marks, o.mark)
		if n > 1 {
			t.Errorf("%s was executed %d times; told: %v", o.mark, n, o.err)
		}
		switch {
		case o.err == nil:
			if done++; n != 1 {
				t.Errorf("%s succeeded and was executed %d times", o.mark, n)
			}
		case o.notSent:
			if notSent++; n != 0 {
				t.Errorf("%s was executed; told: %v", o.mark, o.err)
			}
		default:
			unsure++
			unsureDone += n
			if _, died := errors.AsType[*ami.ConnError](o.err); !died {
				if _, late := errors.AsType[*ami.TimeoutError](o.err); !late && !isActionError(o.err) {
					t.Errorf("%s: unexpected: %v", o.mark, o.err)
				}
			}
		}
	}
	require.Empty(t, marks, "executed, and nobody sent it")
	for deed, n := range deeds {
		if n > 1 {
			t.Errorf("%s was executed %d times", deed, n)
		}
	}
	t.Logf("%d sessions; actions: %d done, %d not sent, %d unsure, of which %d executed", sessions, done, notSent, unsure, unsureDone)
	// Or else it was no test.
	require.Greater(t, sessions, 2*len(servers))
	for _, n := range []int{done, notSent, unsure, unsureDone, unsure - unsureDone} {
		require.Positive(t, n)
	}
}

// isActionError: a server that stops refuses.
func isActionError(err error) bool {
	_, ok := errors.AsType[*ami.ActionError](err)
	return ok
}

// inOrder reads all events and checks that none of a node comes before another.
func inOrder(sub *ami.Subscription) error {
	last := map[string]uint64{}
	for e := range sub.C() {
		if e.Seq <= last[e.Node] {
			return fmt.Errorf("%v behind %d", e, last[e.Node])
		}
		last[e.Node] = e.Seq
	}
	return nil
}

// warmUp opens the files that the runtime needs for any network at all.
func warmUp(t *testing.T) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
}
