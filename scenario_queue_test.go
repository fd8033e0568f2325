package ami_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/fair"
)

// A gate holds up the dispatcher, which no program may do: so that a test knows
// what is queued before it is delivered.
type gate struct {
	shut   chan struct{} // the dispatcher is at the gate
	resume chan struct{}
}

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

// stop is what the dispatcher calls.
func (g gate) stop() {
	g.shut <- struct{}{}
	<-g.resume
}

// close broadcasts an event on srv that stops the dispatcher. It is alone in its
// batch.
func (g gate) close(t *testing.T, srv *amitest.Server, subscribe func(...ami.SubOption) *ami.Subscription) {
	t.Helper()
	synctest.Wait()
	sub := subscribe(ami.Named("Gate"), ami.Where(func(event.Event) bool {
		g.stop()
		return false
	}))
	srv.Broadcast("Gate", amitest.ClassUser)
	<-g.shut
	sub.Close()
}

// open lets the dispatcher go on, with all that has arrived meanwhile queued.
func (g gate) open() {
	synctest.Wait()
	g.resume <- struct{}{}
}

// take returns the next n events, or fails if they do not come within an hour of
// a bubble.
func take(t *testing.T, sub *ami.Subscription, n int) []event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var events []event.Event
	for e, err := range sub.All(ctx) {
		require.NoError(t, err, "after %d of %d events", len(events), n)
		if events = append(events, e); len(events) == n {
			break
		}
	}
	return events
}

// next returns the next event; see take.
func next(t *testing.T, sub *ami.Subscription) event.Event {
	t.Helper()
	return take(t, sub, 1)[0]
}

// number returns the number of an event that Flood has made.
func number(t *testing.T, e event.Event) int {
	t.Helper()
	n, err := strconv.Atoi(e.Get("Seq"))
	require.NoError(t, err)
	return n
}

// TestS10DropOldest: of 20,000 events at once a queue of 10,000 loses the oldest
// 10,000, exactly; it says so in band, and the order is kept (E6).
func TestS10DropOldest(t *testing.T) {
	const sent, kept = 20_000, 10_000
	flooded := func(t *testing.T, srv *amitest.Server) {
		t.Helper()
		require.NoError(t, srv.Flood(t.Context(), 0, sent))
		synctest.Wait()
	}
	check := func(t *testing.T, sub *ami.Subscription) {
		t.Helper()
		require.EqualValues(t, sent-kept, sub.Dropped())
		events := take(t, sub, kept)
		require.EqualValues(t, sent-kept, events[0].Lost, "told where it happened")
		for i, e := range events {
			if number(t, e) != sent-kept+i+1 || i > 0 && e.Lost != 0 {
				require.FailNow(t, "order", "event %d is %d, %d lost", i, number(t, e), e.Lost)
			}
		}
		require.EqualValues(t, sent-kept, sub.Dropped())
	}
	t.Run("buffer of a subscription", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv)
			sub := c.Subscribe(ami.Named("UserEvent"))
			flooded(t, srv)
			require.Zero(t, c.Stats().EventsDropped)
			check(t, sub)
		})
	})
	t.Run("queue of the node", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv)
			g := newGate()
			g.close(t, srv, c.Subscribe)
			sub := c.Subscribe(ami.Named("UserEvent"), ami.Buffer(2*sent))
			flooded(t, srv)
			require.Equal(t, kept, c.Stats().Queued)
			require.EqualValues(t, sent-kept, c.Stats().EventsDropped)
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err, "a full queue stops no reader")
			g.open()
			synctest.Wait()
			check(t, sub)
		})
	})
}

// TestS11AnswersInRandomOrder: 1,000 pending actions of as many callers each get
// their own answer, in whatever order and however late, and the 100 that none
// comes for their timeout; none stays pending (C3).
func TestS11AnswersInRandomOrder(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		const n, never = 1000, 100
		var mu sync.Mutex
		var calls []*amitest.Call
		srv.Handle("Hold", func(c *amitest.Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		})
		c := dial(t, srv)
		start := time.Now()
		results := make([]error, n)
		var callers sync.WaitGroup
		for i := range n {
			callers.Go(func() {
				r, err := c.Send(t.Context(), action.Custom("Hold", "N", strconv.Itoa(i)), ami.WaitForRoom(), ami.Timeout(time.Minute))
				if err == nil && r.Get("N") != strconv.Itoa(i) {
					err = fmt.Errorf("%d got the answer to %s", i, r.Get("N"))
				}
				results[i] = err
			})
		}
		require.NoError(t, srv.WaitAction(t.Context(), "Hold", n))
		synctest.Wait()
		require.Equal(t, n, c.Stats().Pending)
		rand.Shuffle(n, func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		for i, call := range calls[:n-never] {
			if i%100 == 0 {
				time.Sleep(time.Second) // fake: not all at once
			}
			call.Respond(amitest.F("N", call.Get("N")))
		}
		callers.Wait()
		require.Equal(t, time.Minute, time.Since(start))
		expired := 0
		for _, err := range results {
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*ami.TimeoutError](err)
			require.True(t, ok, "%v", err)
			require.True(t, e.Sent)
			require.True(t, e.Timeout())
			expired++
		}
		require.Equal(t, never, expired)
		synctest.Wait() // a keepalive falls into this very instant
		require.Zero(t, c.Stats().Pending)

		for _, call := range calls[n-never:] { // too late: for nobody
			call.Respond(amitest.F("N", call.Get("N")))
		}
		synctest.Wait()
		require.EqualValues(t, never, c.Stats().Late+c.Stats().Unmatched)
	})
}

// TestS12OneRound: while one of three nodes floods and one answers after 150 ms,
// events of these two and the third come within one round of the dispatcher, and
// answers take what their node takes (E4, E5).
func TestS12OneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.run(t)
		flood, slow, quiet := f.list[0], f.list[1], f.list[2]
		g := newGate()
		g.close(t, quiet, f.Subscribe) // so that the flood is first in the queue
		sub := f.Subscribe(ami.Buffer(20_000))
		require.NoError(t, flood.Flood(t.Context(), 0, 9_000))
		synctest.Wait()
		for range 3 {
			slow.Broadcast("Test", amitest.ClassUser)
			quiet.Broadcast("Test", amitest.ClassUser)
		}
		slow.Sessions()[0].SetFaults(amitest.Faults{AnswerDelay: 150 * time.Millisecond})
		g.open()
		served := map[string]int{}
		for _, e := range take(t, sub, 3*fair.Quantum) { // one round of three nodes
			served[e.Node]++
		}
		require.Equal(t, 3, served["pbx2"])
		require.Equal(t, 3, served["pbx3"])
		synctest.Wait()
		require.Zero(t, sub.Dropped())
		// Flood on while the others are asked.
		flooding := make(chan error, 1)
		go func() { flooding <- flood.Flood(t.Context(), 2000, 4000) }()
		for range 5 {
			for key, want := range map[string]time.Duration{"pbx2": 150 * time.Millisecond, "pbx3": 0} {
				start := time.Now()
				_, err := f.Send(t.Context(), action.Ping{}, ami.To(key))
				require.NoError(t, err)
				require.Equal(t, want, time.Since(start), key)
			}
		}
		require.NoError(t, <-flooding)
	})
}

// TestS18StoppedSubscriber: who stops reading the events of one node loses
// these, and nobody else anything (E6, F3).
func TestS18StoppedSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, room = 3_000, 10
		f := newFleet(t, 3)
		f.run(t)
		synctest.Wait()
		c, ok := f.Node("pbx1")
		require.True(t, ok)
		flooded := ami.Named("UserEvent")
		stopped := f.Subscribe(flooded, ami.FromNode("pbx1"), ami.Buffer(room))
		inChannel := f.Subscribe(flooded, ami.FromNode("pbx1"), ami.Buffer(room))
		others := map[string]*ami.Subscription{
			"all":              f.Subscribe(flooded),
			"the same node":    c.Subscribe(flooded),
			"another node":     f.Subscribe(flooded, ami.FromNode("pbx2")),
			"both other nodes": f.Subscribe(flooded, ami.FromNode("pbx2", "pbx3")),
		}
		for _, srv := range f.list { // one each before they stop
			require.NoError(t, srv.Flood(t.Context(), 0, 1))
		}
		require.Equal(t, 1, number(t, next(t, stopped)))
		require.Equal(t, 1, number(t, <-inChannel.C()))

		for range n / 1000 { // not more than a buffer at once
			for _, srv := range f.list {
				require.NoError(t, srv.Flood(t.Context(), 0, 1000))
			}
			synctest.Wait()
		}
		_, err := f.Send(t.Context(), action.Ping{}, ami.To("pbx1"))
		require.NoError(t, err, "no reader stops")
		for name, want := range map[string]int{"all": 3 * (n + 1), "the same node": n + 1, "another node": n + 1, "both other nodes": 2 * (n + 1)} {
			sub := others[name]
			require.Zero(t, sub.Dropped(), name)
			seq := map[string]uint64{}
			for _, e := range take(t, sub, want) {
				if last := seq[e.Node]; e.Lost > 0 || last > 0 && e.Seq != last+1 {
					require.FailNow(t, name, "%v behind %d, %d lost", e, last, e.Lost)
				}
				seq[e.Node] = e.Seq
			}
		}
		require.EqualValues(t, n-room, stopped.Dropped())
		e := next(t, stopped) // it reads again
		require.EqualValues(t, n-room, e.Lost)
		require.Equal(t, 1000-room+1, number(t, e))
		// The channel holds one event and its pump another.
		require.EqualValues(t, n-room-2, inChannel.Dropped())
	})
}
