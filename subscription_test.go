package ami_test

import (
	"context"
	"fmt"
	"runtime"
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

// take takes what a subscription has buffered. It is used within a bubble.
func take(t *testing.T, s *ami.Subscription) (got []event.Event) {
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
	for _, e := range take(t, s) {
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
		for _, e := range take(t, s) {
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
