package ami_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// attempts watches the dials of a cluster. One is in flight from its start until
// it is logged in or has failed, as far as the socket can see.
type attempts struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu       sync.Mutex
	inFlight int
	most     int
	at       map[string][]time.Time // by address
}

// take returns what was seen since the last call: the most dials in flight, and
// when each address was dialled.
func (a *attempts) take() (most int, at map[string][]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	most, at = a.most, a.at
	a.most, a.at = a.inFlight, map[string][]time.Time{}
	return most, at
}

func (a *attempts) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	a.mu.Lock()
	a.inFlight++
	a.most = max(a.most, a.inFlight)
	a.at[addr] = append(a.at[addr], time.Now())
	a.mu.Unlock()
	c, err := a.dial(ctx, network, addr)
	if err != nil {
		a.over()
		return nil, err
	}
	return &attempt{Conn: c, over: sync.OnceFunc(a.over)}, nil
}

func (a *attempts) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
}

// An attempt is the socket of one.
type attempt struct {
	net.Conn
	over func()
}

func (a *attempt) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if bytes.Contains(p[:n], []byte("Authentication accepted")) {
		a.over()
	}
	return n, err
}

func (a *attempt) Close() error {
	a.over()
	return a.Conn.Close()
}

// newWatchedFleet makes a fleet that runs and whose dials are watched.
func newWatchedFleet(t *testing.T, size int, opts ...ami.Option) (*fleet, *attempts) {
	t.Helper()
	a := &attempts{at: map[string][]time.Time{}}
	f := newFleet(t, size, append([]ami.Option{ami.WithDialer(a.Dial)}, opts...)...)
	a.dial = f.dial
	return f, a
}

// kickAll ends every session.
func (f *fleet) kickAll() {
	for _, srv := range f.list {
		for _, s := range srv.Sessions() {
			s.Kick()
			time.Sleep(apart) // fake
		}
	}
	synctest.Wait()
}

// setFaults gives the faults to all servers, their delays a little apart.
func (f *fleet) setFaults(faults amitest.Faults) {
	for i, srv := range f.list {
		own := faults
		for _, d := range []*time.Duration{&own.ConnectDelay, &own.LoginDelay, &own.AnswerDelay} {
			if *d > 0 {
				*d += time.Duration(i) * apart
			}
		}
		srv.SetFaults(own)
	}
}

// TestS13AllNodesClose: nodes that close at once come back spread over time, by
// no more than the limit at once; while they stay down, none is dialled in a
// tight loop (D5, E3).
func TestS13AllNodesClose(t *testing.T) {
	const size, limit = 100, 16
	start := func(t *testing.T) (*fleet, *attempts) {
		t.Helper()
		f, dials := newWatchedFleet(t, size, ami.WithConnectLimit(limit))
		f.setFaults(amitest.Faults{ConnectDelay: 10 * time.Millisecond})
		f.run(t)
		most, _ := dials.take()
		require.Equal(t, limit, most)
		return f, dials
	}
	t.Run("and accept again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, dials := start(t)
			lost := time.Now()
			f.kickAll()
			require.NoError(t, f.Ready(t.Context(), 0))
			require.Less(t, time.Since(lost), time.Second)
			most, dialled := dials.take()
			require.LessOrEqual(t, most, limit)
			first, last := time.Hour, time.Duration(0)
			distinct := map[time.Duration]bool{}
			for addr, at := range dialled {
				require.Len(t, at, 1, addr)
				after := at[0].Sub(lost)
				first, last = min(first, after), max(last, after)
				distinct[after] = true
			}
			require.Len(t, dialled, size, "every node is tried")
			require.GreaterOrEqual(t, first, 100*time.Millisecond, "the floor")
			require.Greater(t, last, 300*time.Millisecond, "jitter spreads them")
			require.Greater(t, len(distinct), size/2)
		})
	})
	t.Run("and stay down", func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			faults amitest.Faults
			most   int // dials of one node within a minute
		}{
			// Five failures open the breaker; then there is one probe in 15 s.
			{"refused", amitest.Faults{Refuse: true}, 5 + 4},
			{"closed in the banner", amitest.Faults{CloseAfterBytes: 1}, 5 + 4},
			// A login closes the breaker, but only a stable session makes the
			// waits short again: 5 s each on average, once they have grown.
			{"closed right after the login", amitest.Faults{CloseAfterBytes: 190}, 35},
		} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, dials := start(t)
					f.setFaults(tc.faults)
					f.kickAll()
					time.Sleep(time.Minute) // fake
					most, dialled := dials.take()
					require.LessOrEqual(t, most, limit)
					require.Len(t, dialled, size, "every node is tried")
					for addr, at := range dialled {
						require.LessOrEqual(t, len(at), tc.most, addr)
						require.Greater(t, len(at), 3, addr)
						for i := range at[1:] {
							require.GreaterOrEqual(t, at[i+1].Sub(at[i]), 100*time.Millisecond, addr)
						}
					}
					f.setFaults(amitest.Faults{})
					back := time.Now()
					require.NoError(t, f.Ready(t.Context(), 0))
					require.Less(t, time.Since(back), 16*time.Second)
				})
			})
		}
	})
}

// TestS14Storm: of 1,000 nodes lost at once 200 accept and never greet. With the
// default settings the dials in flight never exceed the permits, every node is
// tried, and the last healthy node is back within 15 s (D5, E3, H5).
func TestS14Storm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, silent, permits = 1000, 200, 64
		f, dials := newWatchedFleet(t, size)
		f.setFaults(amitest.Faults{ConnectDelay: 5 * time.Millisecond, LoginDelay: 5 * time.Millisecond})
		f.run(t)
		most, _ := dials.take()
		require.Equal(t, permits, most)
		mute := map[string]bool{}
		for _, i := range rand.Perm(size)[:silent] {
			f.list[i].SetFaults(amitest.Faults{HalfOpen: true})
			mute[fmt.Sprint("pbx", i+1)] = true
		}

		lost := time.Now()
		f.kickAll()
		for key, state := range f.States() {
			require.NotEqual(t, ami.Ready, state, key)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, f.Ready(ctx, size-silent))
		t.Logf("the last healthy node is back after %v", time.Since(lost))
		require.LessOrEqual(t, time.Since(lost), 15*time.Second)
		for key, state := range f.States() {
			require.Equal(t, !mute[key], state == ami.Ready, key)
		}
		most, dialled := dials.take()
		require.Equal(t, permits, most, "never above the permits")
		require.Len(t, dialled, size, "every node is tried")

		_, err := f.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		f.setFaults(amitest.Faults{})
		require.NoError(t, f.Ready(ctx, 0), "the silent ones come back too")
		most, _ = dials.take()
		require.LessOrEqual(t, most, permits)
	})
}

// TestS17ChangesInAStorm: Add, Remove, Broadcast, Send, List and Subscribe from
// many goroutines while all nodes close again and again. Each call ends, with
// an error that has a type if it must, and nothing is left (A4, E1, E2).
func TestS17ChangesInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, limit = 40, 8
		f, dials := newWatchedFleet(t, size, ami.WithConnectLimit(limit))
		type guest struct {
			key   string
			nodes []ami.Node // each time another server
		}
		var guests []guest
		for i := range 10 {
			g := guest{key: fmt.Sprint("guest", i)}
			for range 5 {
				g.nodes = append(g.nodes, f.serve(t, g.key))
			}
			guests = append(guests, g)
		}
		// Answers take their time, so that the storm always meets pending actions.
		f.setFaults(amitest.Faults{ConnectDelay: 10 * time.Millisecond, AnswerDelay: 20 * time.Millisecond})
		f.run(t)

		typed := func(err error) error {
			var (
				notReady *ami.NotReadyError
				none     *ami.NoNodeError
				died     *ami.ConnError
				late     *ami.TimeoutError
				busy     *ami.BackpressureError
			)
			if err == nil || errors.As(err, &notReady) || errors.As(err, &none) ||
				errors.As(err, &died) || errors.As(err, &late) || errors.As(err, &busy) {
				return nil
			}
			return err
		}
		var unexpected []error
		var mu sync.Mutex
		expect := func(err error) {
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				unexpected = append(unexpected, err)
			}
		}
		var answers, results, sent atomic.Int64
		pause := func() { time.Sleep(time.Duration(rand.Int64N(int64(80 * time.Millisecond)))) } // fake
		start := time.Now()
		var work sync.WaitGroup
		work.Go(func() {
			for range 20 {
				time.Sleep(250 * time.Millisecond) // fake
				for _, srv := range f.list {
					for _, s := range srv.Sessions() {
						s.Reset()
						time.Sleep(apart) // fake
					}
				}
			}
		})
		for _, g := range guests {
			work.Go(func() {
				for _, n := range g.nodes {
					expect(f.Add(n))
					var config *ami.ConfigError
					if err := f.Add(n); !errors.As(err, &config) {
						expect(fmt.Errorf("a second %s: %v", g.key, err)) //nolint:errorlint // it may be nil
					}
					time.Sleep(time.Duration(rand.Int64N(int64(time.Second)))) // fake: it may be up, or being dialled
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					expect(typed(ignoring(f.Remove(ctx, g.key), context.DeadlineExceeded)))
					cancel()
				}
			})
		}
		for range 4 {
			work.Go(func() {
				for range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					want := 0
					for range f.Nodes() {
						want++
					}
					got := map[string]bool{}
					for key, r := range f.Broadcast(ctx, action.Ping{}) {
						expect(typed(r.Err))
						if got[key] {
							expect(fmt.Errorf("two results of %s", key))
						}
						got[key] = true
						if results.Add(1); r.Err == nil {
							answers.Add(1)
						}
					}
					if len(got) < size {
						expect(fmt.Errorf("results of %d nodes only", len(got)))
					}
					for _, err := range f.List(ctx, action.QueueStatus{}) {
						expect(typed(err))
					}
					cancel()
					pause()
				}
			})
			work.Go(func() {
				for i := range 100 {
					_, err := f.Send(t.Context(), action.Ping{}, ami.ByKey(fmt.Sprint("call", i)))
					if expect(typed(err)); err == nil {
						sent.Add(1)
					}
					pause()
				}
			})
			work.Go(func() {
				for range 50 {
					sub := f.Subscribe(ami.Buffer(16))
					go func() {
						for range sub.C() {
						}
					}()
					pause()
					sub.Close()
				}
			})
		}
		work.Wait()
		require.Empty(t, unexpected)
		require.Less(t, time.Since(start), 20*time.Second, "no call waits for its timeout")
		require.Positive(t, answers.Load())
		require.Less(t, answers.Load(), results.Load(), "the storm was felt")
		require.Positive(t, sent.Load())
		most, _ := dials.take()
		require.LessOrEqual(t, most, limit)
		require.Len(t, f.States(), size, "all guests have left")
		require.NoError(t, f.Ready(t.Context(), 0))
		synctest.Wait()
		for key, c := range f.Nodes() {
			require.Zero(t, c.Stats().Pending, key)
		}
	})
}

// ignoring returns nil for an error that is to be expected.
func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
