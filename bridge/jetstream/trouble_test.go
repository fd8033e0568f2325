package jetstream_test

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

// TestTooLarge: a record beyond what the server takes is refused, alone.
func TestTooLarge(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		records := brokertest.Records("a", 1, 20)
		records[7].Payload = make([]byte, 2<<20)
		n, err := b.Publish(t.Context(), records)
		require.Equal(t, 7, n)
		require.ErrorIs(t, err, nats.ErrMaxPayload)
		gone, ok := errors.AsType[*bridge.RefusedError](err)
		require.True(t, ok)
		require.Equal(t, records[7].ID(), gone.ID)
		require.Equal(t, "a", gone.Node)
		require.Equal(t, idsOf(records[:7]), ids(stored(t, o)), "nothing behind it")
		n, err = b.Publish(t.Context(), records[8:])
		require.NoError(t, err)
		require.Equal(t, 12, n)
		require.Equal(t, jetstream.Stats{Published: 19, Refused: 1, Connects: 1}, b.Stats())
	})
}

// TestTooLargeForTheStream: the stream's own limit is told by the answer.
func TestTooLargeForTheStream(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	_, err := client(t, o).CreateStream(t.Context(), js.StreamConfig{
		Name: "AMI", Subjects: []string{"ami.events.>"}, Storage: js.FileStorage, MaxMsgSize: 1000,
	})
	require.NoError(t, err)
	b := open(t, o)
	records := brokertest.Records("a", 1, 20)
	records[7].Payload = make([]byte, 1000)
	n, err := b.Publish(t.Context(), records)
	require.Equal(t, 7, n)
	_, ok := errors.AsType[*bridge.RefusedError](err)
	require.True(t, ok, err)
	n, err = b.Publish(t.Context(), records[8:])
	require.NoError(t, err)
	require.Equal(t, 12, n)
	require.Equal(t, append(idsOf(records[:7]), idsOf(records[8:])...), ids(stored(t, o)))
	require.Equal(t, jetstream.Stats{Published: 19, Duplicates: 12, Refused: 1, Connects: 1}, b.Stats())
}

// TestFull: a stream that drops nothing takes no more, until there is room; the
// records that were small enough to slip in are told.
func TestFull(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		o.MaxBytes, o.DiscardNew = 100<<10, true
		b := open(t, o)
		records := brokertest.Records("a", 1, 10)
		for i := range records[:9] {
			records[i].Payload = make([]byte, 20<<10)
		}
		n, err := b.Publish(t.Context(), records)
		require.ErrorIs(t, err, jetstream.ErrFull)
		require.Equal(t, 4, n)
		_, ok := errors.AsType[*bridge.RefusedError](err)
		require.False(t, ok, "it is not lost")
		// The last one was on its way when the first was refused.
		require.Eventually(t, func() bool {
			return slices.Equal(append(idsOf(records[:4]), records[9].ID()), ids(stored(t, o)))
		}, soon, 10*time.Millisecond)

		more := slices.Concat(records[4:], brokertest.Records("a", 11, 5))
		n, err = b.Publish(t.Context(), more) // one at a time now
		require.ErrorIs(t, err, jetstream.ErrFull)
		require.Zero(t, n)
		require.Len(t, stored(t, o), 5, "nothing more slips in")
		stream, err := client(t, o).Stream(t.Context(), nameOf(o))
		require.NoError(t, err)
		for seq := range uint64(4) {
			require.NoError(t, stream.DeleteMsg(t.Context(), seq+1))
		}
		rest := records[4:]
		n, err = b.Publish(t.Context(), rest)
		require.ErrorIs(t, err, jetstream.ErrFull)
		require.Equal(t, 4, n)
		require.Zero(t, b.Stats().Reordered)
		require.NoError(t, stream.DeleteMsg(t.Context(), 6))
		n, err = b.Publish(t.Context(), rest[4:])
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, uint64(1), b.Stats().Reordered)
		require.Equal(t, uint64(1), b.Stats().Duplicates)
	})
}

// denying serves a user who may not do one thing.
func denying(t *testing.T, p *server.Permissions) jetstream.Options {
	t.Helper()
	s := hereWith(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "bridge", Password: "p", Permissions: p},
			{Username: "all", Password: "p"},
		}
	})
	return jetstream.Options{Server: s, User: "bridge", Password: ami.NewSecret("p"), AckTimeout: soon}
}

// TestDenied: what is not permitted is told at once, as such.
func TestDenied(t *testing.T) {
	t.Run("a node", func(t *testing.T) {
		o := denying(t, &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"ami.events.b.>"}}})
		b := open(t, o)
		records := brokertest.Records("a", 1, 10)
		records[6].Node = "b"
		began := time.Now()
		n, err := b.Publish(t.Context(), records)
		require.Less(t, time.Since(began), soon/2)
		denied, ok := errors.AsType[*jetstream.DeniedError](err)
		require.True(t, ok, err)
		require.Equal(t, "ami.events.b.Newchannel", denied.Subject)
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.Equal(t, 6, n)
		n, err = b.Publish(t.Context(), records[6:])
		require.Zero(t, n)
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		n, err = b.Publish(t.Context(), records[7:])
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
	for name, p := range map[string]*server.Permissions{
		"the stream":  {Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.>"}}},
		"the answers": {Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := denying(t, p)
			began := time.Now()
			_, err := jetstream.Open(t.Context(), o)
			require.ErrorIs(t, err, nats.ErrPermissionViolation)
			require.Less(t, time.Since(began), soon/2)
		})
	}
	t.Run("states and takeovers", func(t *testing.T) {
		o := denying(t, &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$KV.>", "ami.events.a.Takeover"}}})
		b := open(t, o)
		began := time.Now()
		require.ErrorIs(t, b.PutState(t.Context(), bridge.NodeState{Node: "a"}), nats.ErrPermissionViolation)
		_, err := b.Fence(t.Context(), bridge.Takeover{Node: "a", Instance: "i"})
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.Less(t, time.Since(began), soon/2)
	})
	t.Run("requests", func(t *testing.T) {
		o := denying(t, &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"ami.actions.a"}}})
		b := open(t, o)
		err := b.Serve(t.Context(), func() []string { return []string{"a"} }, nil)
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
	})
	t.Run("login", func(t *testing.T) {
		s := hereWith(t, func(o *server.Options) {
			o.Username, o.Password = "bridge", "p"
			o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
		})
		o := jetstream.Options{URL: s.ClientURL(), User: "bridge", Password: ami.NewSecret("wrong")}
		_, err := jetstream.Open(t.Context(), o)
		require.ErrorIs(t, err, nats.ErrAuthorization)
		require.NotContains(t, err.Error(), "wrong")
		o.Lazy = true
		b := open(t, o)
		err = b.Serve(t.Context(), func() []string { return nil }, nil)
		require.ErrorIs(t, err, nats.ErrAuthorization)
	})
}

// TestStreamGone: a stream that was deleted is made again.
func TestStreamGone(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		require.NoError(t, client(t, o).DeleteStream(t.Context(), nameOf(o)))
		n, err := b.Publish(t.Context(), brokertest.Records("a", 1, 3))
		require.Zero(t, n)
		require.ErrorIs(t, err, js.ErrNoStreamResponse)
		n, err = b.Publish(t.Context(), brokertest.Records("a", 1, 3))
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

// TestNobody: without a server Open fails, unless it is to wait; then the calls do.
func TestNobody(t *testing.T) {
	c := natstest.New(t, "")
	o := jetstream.Options{URL: c.URL()}
	_, err := jetstream.Open(t.Context(), o)
	require.ErrorContains(t, err, c.URL())
	o.Lazy = true
	b := open(t, o)
	n, err := b.Publish(t.Context(), brokertest.Records("a", 1, 3))
	require.Error(t, err)
	require.Zero(t, n)
	require.Error(t, b.PutState(t.Context(), bridge.NodeState{Node: "a"}))
	c.Start(t)
	n, err = b.Publish(t.Context(), brokertest.Records("a", 1, 3))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: "a"}))
}

// TestMuteServer: a server that accepts connections and says nothing keeps nobody.
func TestMuteServer(t *testing.T) {
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	o := jetstream.Options{URL: "nats://" + l.Addr().String(), DialTimeout: 50 * time.Millisecond}
	_, err = jetstream.Open(t.Context(), o)
	require.Error(t, err)

	o.DialTimeout, o.Lazy = time.Hour, true
	b := open(t, o)
	ended := make(chan error, 1)
	go func() {
		_, err := b.Publish(t.Context(), brokertest.Records("a", 1, 1))
		ended <- err
	}()
	accepted, err := l.Accept() // that of Open
	require.NoError(t, err)
	require.NoError(t, accepted.Close())
	accepted, err = l.Accept()
	require.NoError(t, err)
	require.NoError(t, b.Close())
	require.ErrorIs(t, <-ended, jetstream.ErrClosed)
	require.NoError(t, accepted.Close())
	_, err = b.Publish(t.Context(), brokertest.Records("a", 1, 1))
	require.ErrorIs(t, err, jetstream.ErrClosed)
	require.ErrorIs(t, b.Serve(t.Context(), nil, nil), jetstream.ErrClosed)
}

func nameOf(o jetstream.Options) string {
	if o.Stream == "" {
		return jetstream.DefaultStream
	}
	return o.Stream
}
