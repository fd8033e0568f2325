package ami_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/internal/captures"
)

// floodWithPings replays the flood of 20,001 events with three Pings in it.
// The first comes in after 10,000 events and is answered behind 3,000 more:
// Asterisk sends what it has queued before it looks at an action. Behind the
// answer to the third comes the last event.
func floodWithPings(t *testing.T) amitest.Option {
	t.Helper()
	end := []byte("\r\n\r\n")
	messages := bytes.SplitAfter(captures.Server("6-flood-userevent-only-20000"), end)
	require.Len(t, messages, 1+20_001+1+1) // Response, events, Goodbye, nothing
	part := func(from, to int) []byte { return bytes.Join(messages[from:to], nil) }
	ask := func(id string) amitest.Chunk {
		return amitest.Chunk{Bytes: []byte("Action: Ping\r\nActionID: " + id + "\r\n\r\n")}
	}
	pong := func(id string) []byte {
		return []byte("Response: Success\r\nActionID: " + id + "\r\nPing: Pong\r\nTimestamp: 1795419861.0\r\n\r\n")
	}
	return amitest.WithReplay([]amitest.Chunk{
		{Bytes: []byte("Action: Login\r\nActionID: login-1\r\n\r\n")},
		{Server: true, Bytes: part(0, 10_001)},
		ask("p-1"),
		{Server: true, Bytes: part(10_001, 13_001)},
		{Server: true, Bytes: pong("p-1")},
		{Server: true, Bytes: part(13_001, 20_001)},
		ask("p-2"),
		{Server: true, Bytes: pong("p-2")},
		ask("p-3"),
		{Server: true, Bytes: pong("p-3")},
		{Server: true, Bytes: part(20_001, 20_002)},
	}, false)
}

// TestFloodWithStoppedSubscriber: a subscriber takes a hundred events of a
// recorded flood and stops reading. Answers come in time all the same, and when
// it reads on it can tell where how many are missing, to the last one.
func TestFloodWithStoppedSubscriber(t *testing.T) { // E6, F2
	settle := func() {
		time.Sleep(2 * time.Second) // fake: what waits for room is late
		synctest.Wait()
	}
	for _, tc := range []struct {
		name   string
		policy ami.SubOption
		held   bool // the dispatcher is, so that the node's own queue drops as well
	}{
		{"oldest", ami.DropOldest(), false},
		{"newest", ami.DropNewest(), false},
		{"late", ami.BlockUpTo(time.Second), false},
		{"oldest, held", ami.DropOldest(), true},
		{"newest, held", ami.DropNewest(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				floodStopped(t, srv, tc.policy, tc.held, settle, ami.WithDialer(srv.DialContext))
			}, floodWithPings(t))
		})
	}
	t.Run("loopback TCP", func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithTCP(), amitest.WithWriteTimeout(time.Minute), floodWithPings(t))
		defer srv.Close()
		floodStopped(t, srv, ami.DropOldest(), false, func() {})
	})
}

// floodStopped is the test; settle waits until all has been dispatched, so that
// nothing takes the room of the last event.
func floodStopped(t *testing.T, srv *amitest.Server, policy ami.SubOption, held bool, settle func(), opts ...ami.Option) {
	t.Helper()
	const all = 20_001
	c, err := ami.New(node(srv), append(opts, ami.WithEventQueue(1000))...)
	require.NoError(t, err)
	sub := c.Subscribe(ami.Buffer(1000), policy)
	gate, seen := make(chan struct{}), 0
	if held {
		c.Subscribe(ami.Where(func(event.Event) bool {
			if seen++; seen == 500 {
				<-gate
			}
			return false
		}))
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()

	var delivered, lost, seq uint64
	take := func(e event.Event) {
		delivered++
		lost += e.Lost
		require.Equal(t, seq+e.Lost+1, e.Seq, "told where it is missing")
		seq = e.Seq
	}
	for e, err := range sub.All(t.Context()) {
		require.NoError(t, err)
		if take(e); delivered == 100 {
			break // it stops reading
		}
	}
	ping := func() {
		r, err := c.Send(t.Context(), action.Ping{}, ami.Timeout(time.Minute))
		require.NoError(t, err)
		require.Equal(t, "Pong", r.Get("Ping"))
	}
	ping()
	require.True(t, !held || c.Stats().EventsDropped > 8000)
	close(gate)
	ping()
	settle()

	// It reads on, which makes room for the last event: that tells of the rest.
	for e, err := range sub.All(t.Context()) {
		require.NoError(t, err)
		if take(e); e.Get("UserEvent") == "FloodDone" {
			break
		}
		if delivered == 200 {
			ping()
		}
	}
	require.EqualValues(t, all, c.Stats().Events)
	require.EqualValues(t, all, delivered+sub.Dropped())
	require.Equal(t, sub.Dropped(), lost)
	require.Less(t, delivered, uint64(all/2), "what its buffer held, and little more")
	require.NoError(t, c.Close())
	require.NoError(t, <-done)
}
