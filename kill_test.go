package ami_test

import (
	"context"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// TestKillCycles connects and kills thousands of times and looks for what is
// left behind: goroutines (goleak), heap, pending actions, sockets, files.
func TestKillCycles(t *testing.T) { // D7, H5
	cycles, overTCP := 3000, 300
	if testing.Short() {
		cycles, overTCP = 500, 50
	}
	t.Run("memory", func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithoutLedger())
		defer srv.Close()
		killCycles(t, srv, cycles, srv.DialContext)
	})
	t.Run("with a lane", func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithoutLedger())
		defer srv.Close()
		killCycles(t, srv, cycles/10, srv.DialContext, ami.WithActionLanes(1))
	})
	t.Run("loopback TCP", func(t *testing.T) {
		// The runtime keeps files of its own once a socket was used.
		amitest.NewServer(amitest.WithTCP()).Close()
		before, files := openFiles()
		srv := amitest.NewServer(amitest.WithTCP(), amitest.WithoutLedger())
		var sockets counted
		killCycles(t, srv, overTCP, sockets.DialContext)
		srv.Close()
		require.Zero(t, sockets.open.Load(), "sockets")
		require.GreaterOrEqual(t, sockets.all.Load(), int64(overTCP))
		if files { // elsewhere the count of sockets must do
			after, _ := openFiles()
			require.LessOrEqual(t, after, before, "files")
		}
	})
}

func killCycles(t *testing.T, srv *amitest.Server, cycles int, dial func(ctx context.Context, network, addr string) (net.Conn, error), opts ...ami.Option) {
	t.Helper()
	c, err := ami.New(node(srv), append(opts, ami.WithDialer(dial),
		ami.WithBackoff(time.Millisecond, time.Millisecond, time.Millisecond), ami.WithStableAfter(0))...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var before runtime.MemStats
	for i := range cycles {
		require.NoError(t, c.Ready(t.Context()))
		p := c.Start(t.Context(), action.Ping{})
		epoch := c.Stats().Epoch
		for _, s := range srv.Sessions() {
			switch i % 3 {
			case 0:
				s.Reset()
			case 1:
				s.Kick()
			default:
				s.CloseMidFrame()
			}
		}
		<-p.Done()
		for c.Stats().Epoch == epoch && c.State() == ami.Ready {
			runtime.Gosched()
		}
		if i == cycles/10 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	require.Zero(t, c.Stats().Pending)
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(2<<20))
	// The server's side of the latest sessions ends when it is its turn.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < 30 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, c.Stats().Connects, uint64(cycles-1))
}

// openFiles counts the files and sockets of the process, where the system
// tells.
func openFiles() (n int, ok bool) {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} { // Linux, BSD and macOS
		if entries, err := os.ReadDir(dir); err == nil {
			return len(entries), true
		}
	}
	return 0, false
}

// counted dials and counts the sockets that are open, on any system.
type counted struct{ all, open atomic.Int64 }

func (n *counted) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	socket, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n.all.Add(1)
	n.open.Add(1)
	return &countedConn{Conn: socket, count: n}, nil
}

type countedConn struct {
	net.Conn
	count *counted
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.count.open.Add(-1) })
	return c.Conn.Close()
}
