package ami_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// broadcast sends events of the name Test, numbered from to to, and waits until
// they are buffered. It is used within a bubble.
func broadcast(srv *amitest.Server, from, to int) {
	for i := from; i <= to; i++ {
		srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", fmt.Sprint(i)))
	}
	synctest.Wait()
}

// numbers returns from to to as broadcast sends them.
func numbers(from, to int) (n []string) {
	for i := from; i <= to; i++ {
		n = append(n, fmt.Sprint(i))
	}
	return n
}

// takeAll takes what a subscription has buffered. It is used within a bubble.
func takeAll(t *testing.T, s *ami.Subscription) (got []event.Event) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		synctest.Wait() // All waits for more
		cancel()
	}()
	for e, err := range s.All(ctx) {
		if err != nil {
			break
		}
		got = append(got, e)
	}
	return got
}

// buffered takes it too, and returns the numbers and how much is told as lost.
func buffered(t *testing.T, s *ami.Subscription) (got []string, lost uint64) {
	t.Helper()
	for _, e := range takeAll(t, s) {
		got = append(got, e.Get("N"))
		lost += e.Lost
	}
	return got, lost
}

// TestOverdueEventsAreDropped: what has waited too long with BlockUpTo is not
// delivered, and is counted though nobody takes or sends anything (E6).
func TestOverdueEventsAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"), ami.Buffer(4), ami.BlockUpTo(time.Second))
		broadcast(srv, 1, 6)
		time.Sleep(time.Second)
		require.Zero(t, s.Dropped(), "they may wait for all of it")
		time.Sleep(time.Minute)
		require.EqualValues(t, 2, s.Dropped())
		got, lost := buffered(t, s)
		require.Equal(t, numbers(1, 4), got, "5 and 6 may wait for 1 s, not for 61")
		require.Zero(t, lost)
		broadcast(srv, 7, 7)
		got, lost = buffered(t, s)
		require.Equal(t, numbers(7, 7), got)
		require.EqualValues(t, 2, lost)
		require.EqualValues(t, 2, s.Dropped())
	})
}

// TestOverdueEventsMakeRoom: they do not keep a new event out (E6).
func TestOverdueEventsMakeRoom(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"), ami.Buffer(4), ami.BlockUpTo(time.Second))
		broadcast(srv, 1, 8)
		time.Sleep(time.Minute)
		broadcast(srv, 9, 9) // its second starts now
		require.EqualValues(t, 4, s.Dropped())
		got, lost := buffered(t, s)
		require.Equal(t, append(numbers(1, 4), "9"), got)
		require.EqualValues(t, 4, lost)
	})
}

// TestOverdueGapIsDelivered: a gap in the waiting area is never dropped, and the
// losses before it and behind it are told where they were (E6, E7).
func TestOverdueGapIsDelivered(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"), ami.Buffer(2), ami.BlockUpTo(time.Second))
		broadcast(srv, 1, 3)
		srv.Sessions()[0].Kick()
		time.Sleep(20 * time.Second) // fake: it is back
		require.NoError(t, c.Ready(t.Context()))
		broadcast(srv, 4, 4)
		time.Sleep(time.Minute)
		broadcast(srv, 5, 5)
		var got []string
		for _, e := range takeAll(t, s) {
			_, gap := e.Gap()
			got = append(got, fmt.Sprint(e.Get("N"), " ", gap, " ", e.Lost))
		}
		require.Equal(t, []string{"1 false 0", "2 false 0", " true 1", "5 false 1"}, got)
		require.EqualValues(t, 2, s.Dropped())
	})
}

// TestTakingCopiesNoBacklog: what a consumer takes costs the same however many
// events wait behind it (E6).
func TestTakingCopiesNoBacklog(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		const room = 1000
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"), ami.Buffer(room), ami.BlockUpTo(time.Hour))
		broadcast(srv, 1, 2*room)
		require.Zero(t, s.Dropped())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := 0
		for _, err := range s.All(t.Context()) {
			require.NoError(t, err)
			if n++; n == room {
				break
			}
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(500_000), "a copy of the rest at each take is 6 MB")
	})
}

// aContext ends when its Err says so, before its Done does: so does any other,
// seen by a goroutine that is just waking up.
type aContext struct {
	context.Context //nolint:containedctx // it is one

	over atomic.Bool
	done chan struct{}
}

func (c *aContext) Done() <-chan struct{} { return c.done }
func (c *aContext) Value(any) any         { return nil }
func (c *aContext) Err() error {
	if c.over.Load() {
		return context.Canceled
	}
	return nil
}

// TestWakeUpIsPassedOn: of two consumers the one that is woken has just ended;
// the other gets the event (F3).
func TestWakeUpIsPassedOn(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"))
		ending := &aContext{Context: t.Context(), done: make(chan struct{})}
		var first, second []string
		var wg sync.WaitGroup
		consume := func(ctx context.Context, got *[]string) {
			for e, err := range s.All(ctx) {
				if err != nil {
					break
				}
				*got = append(*got, e.Get("N"))
				return
			}
		}
		wg.Go(func() { consume(ending, &first) })
		synctest.Wait() // it is the first in the line
		wg.Go(func() { consume(t.Context(), &second) })
		synctest.Wait()
		ending.over.Store(true)
		broadcast(srv, 1, 1)
		require.Empty(t, first)
		require.Equal(t, []string{"1"}, second)
		wg.Wait()
	})
}

// TestBodyThatDoesNotReturn: what All has taken and not yielded stays in the
// subscription, also if the body panics or ends its goroutine (F3).
func TestBodyThatDoesNotReturn(t *testing.T) {
	for name, body := range map[string]func(){
		"panic":  func() { panic("no") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				s := c.Subscribe(ami.Named("Test"))
				broadcast(srv, 1, 10)
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					for _, err := range s.All(t.Context()) {
						if err == nil {
							body()
						}
					}
				}()
				<-done
				broadcast(srv, 11, 11)
				got, lost := buffered(t, s)
				require.Equal(t, numbers(2, 11), got)
				require.Zero(t, lost)
				require.Zero(t, s.Dropped())
			})
		})
	}
}

// TestPutBackKeepsOrder: two consumers stop in the middle of what they have
// taken, in either order; a third gets the rest in the order of the node (F3).
func TestPutBackKeepsOrder(t *testing.T) {
	for _, firstStops := range []int{0, 1} {
		t.Run(fmt.Sprint(firstStops), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				s := c.Subscribe(ami.Named("Test"))
				broadcast(srv, 1, 100)
				var taken [2]string
				stop := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
				for i := range stop {
					go func() {
						for e, err := range s.All(t.Context()) {
							if err == nil {
								taken[i] = e.Get("N")
							}
							<-stop[i]
							return
						}
					}()
					synctest.Wait()
				}
				require.Equal(t, [2]string{"1", "33"}, taken)
				close(stop[firstStops])
				synctest.Wait()
				close(stop[1-firstStops])
				synctest.Wait()
				got, _ := buffered(t, s)
				require.Equal(t, append(numbers(2, 32), numbers(34, 100)...), got)
			})
		})
	}
}

// TestAllStopsAtOnce: not only behind what it has taken already (F3).
func TestAllStopsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		s := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 10)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		var last error
		for _, err := range s.All(ctx) {
			n++
			last = err
			cancel()
		}
		require.Equal(t, 2, n)
		require.ErrorIs(t, last, context.Canceled)
		n = 0
		for _, err := range s.All(t.Context()) {
			require.NoError(t, err)
			n++
			s.Close()
		}
		require.Equal(t, 1, n)
	})
}

// TestSubscriptionStartsWhenItIsMade: what waits in the node's queue by then,
// and what that queue has lost, is not in it (E6).
func TestSubscriptionStartsWhenItIsMade(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv, ami.WithEventQueue(16))
		gate := make(chan struct{})
		early := c.Subscribe(ami.Named("Test"), ami.Where(func(e event.Event) bool {
			if e.Get("N") == "1" {
				<-gate // the dispatcher stands
			}
			return true
		}))
		broadcast(srv, 1, 1)
		broadcast(srv, 2, 100)
		late := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 101, 110)
		flooded := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 111, 130)
		last := c.Subscribe(ami.Named("Test"))
		close(gate)
		synctest.Wait()
		broadcast(srv, 131, 132)

		for _, tc := range []struct {
			name string
			sub  *ami.Subscription
			got  []string
			lost uint64
		}{
			{"early", early, append(numbers(1, 1), numbers(115, 132)...), 113},
			{"late", late, numbers(115, 132), 14},
			{"flooded", flooded, numbers(115, 132), 4},
			{"last", last, numbers(131, 132), 0},
		} {
			require.Equal(t, tc.lost, tc.sub.Dropped(), tc.name)
			got, lost := buffered(t, tc.sub)
			require.Equal(t, tc.got, got, tc.name)
			require.Equal(t, tc.lost, lost, tc.name)
		}
	})
}

// stuck is a log handler that stands at each record until gate is closed.
type stuck struct {
	*logbook

	gate    chan struct{}
	waiting atomic.Int32
}

func (h *stuck) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *stuck) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		h.waiting.Add(1)
		<-h.gate
		h.waiting.Add(-1)
	}
	return h.logbook.Handle(ctx, r)
}

// TestLogOfPanicsDelaysNoEvent: the handler blocks, the events go on, and the
// record comes when it can (C8, G1).
func TestLogOfPanicsDelaysNoEvent(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := &stuck{logbook: newLogbook(), gate: make(chan struct{})}
		c := dial(t, srv, ami.WithLogger(slog.New(log)))
		bad := c.Subscribe(ami.Named("Test"), ami.Where(func(event.Event) bool { panic("no") }))
		good := c.Subscribe(ami.Named("Test"))
		broadcast(srv, 1, 100)
		got, _ := buffered(t, good)
		require.Equal(t, numbers(1, 100), got)
		got, _ = buffered(t, bad)
		require.Empty(t, got)
		require.EqualValues(t, 100, c.Stats().Delivery.PredicatePanics)
		require.EqualValues(t, 1, log.waiting.Load())
		close(log.gate)
		synctest.Wait()
		found := log.find("a subscription's predicate panicked")
		require.Len(t, found, 1)
		require.Equal(t, "pbx1", found[0]["server_key"])
		require.Equal(t, "string", found[0]["panic"])
	})
}

// TestDropSummaryWaitsForItsLog: a handler that blocks holds up one summary, not
// one more at each interval, and no drop is left out (E6, G1).
func TestDropSummaryWaitsForItsLog(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := &stuck{logbook: newLogbook(), gate: make(chan struct{})}
		c := dial(t, srv, ami.WithLogger(slog.New(log)), ami.WithDropSummary(10*time.Second))
		s := c.Subscribe(ami.Named("Test"), ami.Buffer(2))
		for range 5 {
			broadcast(srv, 1, 10)
			time.Sleep(20 * time.Second) // fake
		}
		require.EqualValues(t, 48, s.Dropped())
		require.EqualValues(t, 1, log.waiting.Load())
		close(log.gate)
		time.Sleep(20 * time.Second) // fake
		var sum uint64
		for _, r := range log.find("events dropped: a subscription does not keep up") {
			delta, ok := r["dropped_delta"].(uint64)
			require.True(t, ok)
			sum += delta
			require.Equal(t, "pbx1", r["server_key"])
		}
		require.EqualValues(t, 48, sum)
	})
}

// TestCloseEndsGrace: Close while Shutdown lets receivers take what is buffered
// does not wait for them (D7).
func TestCloseEndsGrace(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		c.Subscribe(ami.Named("Test")).C() // nobody receives
		broadcast(srv, 1, 3)
		start := time.Now()
		down := make(chan error, 1)
		go func() { down <- c.Shutdown(context.WithoutCancel(t.Context())) }()
		time.Sleep(time.Second)
		require.NoError(t, c.Close())
		require.NoError(t, <-down)
		require.Equal(t, time.Second, time.Since(start))
	})
}

// TestCloseEndsGraceOfCluster: so does that of a node and of the cluster (D7).
func TestCloseEndsGraceOfCluster(t *testing.T) {
	for name, tc := range map[string]struct {
		down, end func(*testing.T, *fleet) error
	}{
		"node": {
			func(t *testing.T, f *fleet) error { return f.Remove(context.WithoutCancel(t.Context()), "pbx1") },
			func(_ *testing.T, f *fleet) error { c, _ := f.Node("pbx1"); return c.Close() },
		},
		"cluster while a node is removed": {
			func(t *testing.T, f *fleet) error { return f.Remove(context.WithoutCancel(t.Context()), "pbx1") },
			func(_ *testing.T, f *fleet) error { return f.Close() },
		},
		"cluster": {
			func(t *testing.T, f *fleet) error { return f.Shutdown(context.WithoutCancel(t.Context())) },
			func(_ *testing.T, f *fleet) error { return f.Close() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2)
				f.run(t)
				c, ok := f.Node("pbx1")
				require.True(t, ok)
				c.Subscribe(ami.Named("Test")).C() // nobody receives
				f.Subscribe(ami.Named("Test")).C()
				broadcast(f.list[0], 1, 3)
				start := time.Now()
				down := make(chan error, 1)
				go func() { down <- tc.down(t, f) }()
				time.Sleep(time.Second)
				require.NoError(t, tc.end(t, f))
				require.NoError(t, <-down)
				require.Equal(t, time.Second, time.Since(start))
			})
		})
	}
}

// TestFirstChannelDuringGrace: C may be called first while others take what is
// buffered, and gets its own; Shutdown waits for that and no longer (D7).
func TestFirstChannelDuringGrace(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		a, b, never := c.Subscribe(ami.Named("Test")), c.Subscribe(ami.Named("Test")), c.Subscribe(ami.Named("Test"))
		a.C()
		broadcast(srv, 1, 3)
		start := time.Now()
		down := make(chan error, 1)
		go func() { down <- c.Shutdown(context.WithoutCancel(t.Context())) }()
		time.Sleep(time.Second)
		var got []string
		for e := range b.C() {
			got = append(got, e.Get("N"))
		}
		require.Equal(t, numbers(1, 3), got)
		for range a.C() {
		}
		require.NoError(t, <-down)
		require.Equal(t, time.Second, time.Since(start))
		_, open := <-never.C()
		require.False(t, open, "too late for a channel")
		got, _ = buffered(t, never)
		require.Equal(t, numbers(1, 3), got, "but not for All")
	})
}
