package ami_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// resolver is a scripted one that does not know what a context is.
type resolver struct {
	mu      sync.Mutex
	answer  func() ([]string, error)
	asked   int
	pending int // calls under way
	most    int
}

func (r *resolver) LookupHost(context.Context, string) ([]string, error) {
	r.mu.Lock()
	r.asked++
	r.pending++
	r.most = max(r.most, r.pending)
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.pending--
		r.mu.Unlock()
	}()
	return answer()
}

func (r *resolver) set(answer func() ([]string, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// TestLookup: a name is looked up anew at each attempt; while the resolver
// fails or hangs, the last addresses serve, and it is asked once at a time (D6).
func TestLookup(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		r := &resolver{}
		r.set(func() ([]string, error) { return []string{"10.0.0.1"}, nil })
		var dialled []string
		n := node(srv)
		n.Addr = "pbx.example:5038"
		c, err := ami.Dial(t.Context(), n, ami.WithResolver(r), ami.WithBackoff(time.Second, time.Second, time.Second), ami.WithBreaker(100, time.Second, 1),
			ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled = append(dialled, addr)
				return srv.DialContext(ctx, network, addr)
			}))
		require.NoError(t, err)
		defer c.Close()
		lose := func(wait time.Duration) string {
			for _, s := range srv.Sessions() {
				s.Reset()
			}
			synctest.Wait()
			require.Equal(t, ami.Disconnected, c.State())
			start := time.Now()
			require.NoError(t, c.Ready(t.Context()))
			require.Equal(t, wait, time.Since(start))
			return dialled[len(dialled)-1]
		}
		const backoff, dialTimeout = time.Second, 3 * time.Second

		r.set(func() ([]string, error) { return []string{"10.0.0.2"}, nil })
		require.Equal(t, "10.0.0.2:5038", lose(backoff), "looked up anew")

		r.set(func() ([]string, error) { return nil, errors.New("no such host") })
		require.Equal(t, "10.0.0.2:5038", lose(backoff), "the last address serves")

		release := make(chan struct{})
		r.set(func() ([]string, error) { <-release; return nil, errors.New("too late") })
		require.Equal(t, "10.0.0.2:5038", lose(backoff+dialTimeout))
		require.Equal(t, "10.0.0.2:5038", lose(backoff+dialTimeout))
		require.Equal(t, 4, r.asked, "not asked again while it hangs")
		require.Equal(t, 1, r.most)

		close(release)
		synctest.Wait()
		r.set(func() ([]string, error) { return []string{"10.0.0.3"}, nil })
		require.Equal(t, "10.0.0.3:5038", lose(backoff), "its late failure is no answer")
	})
}

// TestHangingResolverHoldsNoPermit: with a single permit, a node whose name is
// never resolved delays nobody (D6, E5).
func TestHangingResolverHoldsNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := &resolver{}
		r.set(func() ([]string, error) { <-release; return nil, errors.New("too late") })
		f := &fleet{servers: map[string]*amitest.Server{}}
		lost := f.serve(t, "pbx1")
		lost.Addr = "pbx1.example"
		nodes := []ami.Node{lost, f.serve(t, "pbx2"), f.serve(t, "pbx3")}
		var err error
		f.Cluster, err = ami.NewCluster(nodes, ami.WithConnectLimit(1), ami.WithResolver(r), ami.WithDialer(f.dial))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- f.Run(t.Context()) }()
		start := time.Now()
		require.NoError(t, f.Ready(t.Context(), 2))
		require.Less(t, time.Since(start), time.Millisecond)
		require.NoError(t, f.Close())
		require.NoError(t, <-done)
	})
}

// TestLanesShareALookup: the lanes of a node wait for the same answer of its
// resolver, or for none of it (D6).
func TestLanesShareALookup(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		r := &resolver{}
		r.set(func() ([]string, error) {
			time.Sleep(100 * time.Millisecond) // fake
			return []string{"10.0.0.1"}, nil
		})
		n := node(srv)
		n.Addr = "pbx.example:5038"
		start := time.Now()
		c, err := ami.Dial(t.Context(), n, ami.WithResolver(r), ami.WithDialer(srv.DialContext), ami.WithActionLanes(4))
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, 200*time.Millisecond, time.Since(start))
		synctest.Wait()
		require.Equal(t, 2, r.asked, "once for the events, once for the four lanes")

		release := make(chan struct{})
		defer close(release)
		r.set(func() ([]string, error) { <-release; return nil, errors.New("too late") })
		for _, s := range srv.Sessions() {
			s.Kick()
		}
		require.NoError(t, srv.WaitSessions(t.Context(), 0))
		require.NoError(t, srv.WaitSessions(t.Context(), 5), "the last address serves all of them")
		synctest.Wait()
		require.Equal(t, 3, r.asked)
		require.Equal(t, 1, r.most)
	})
}
