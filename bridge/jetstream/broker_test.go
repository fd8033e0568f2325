package jetstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
	amijs "github.com/apn/ami/bridge/jetstream"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = time.Minute

// serve starts a NATS server.
func serve(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// broker makes one on a server.
func broker(t testing.TB, url string) *amijs.Broker {
	t.Helper()
	nc, err := amijs.Connect(url)
	require.NoError(t, err)
	b, err := amijs.New(nc, amijs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// client is one that consumes.
func client(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return nc, js
}

// records makes n of them, from number first on.
func records(node string, token, first uint64, n int) []bridge.Record {
	list := make([]bridge.Record, n)
	for i := range list {
		list[i] = bridge.Record{
			Instance: "test-1.1", Node: node, Epoch: 1, Seq: first + uint64(i), Kind: bridge.KindEvent, Name: "Hangup",
			Time: time.Now(), Token: token, Payload: fmt.Appendf(nil, `{"seq":%d}`, first+uint64(i)),
		}
	}
	return list
}

// stored are the IDs in the stream, in order.
func stored(t testing.TB, js jetstream.JetStream) (ids []string) {
	t.Helper()
	s, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		ids = append(ids, m.Header.Get(nats.MsgIdHdr))
	}
	return ids
}

// TestPublish: in order and each once, although some come again.
func TestPublish(t *testing.T) {
	s := serve(t)
	b := broker(t, s.URL())
	_, js := client(t, s.URL())
	for _, tc := range []struct{ first, n int }{{1, 1}, {2, 10}, {5, 20}, {1, 3}, {25, 1500}} {
		n, err := b.Publish(t.Context(), records("pbx1", 0, uint64(tc.first), tc.n))
		require.NoError(t, err)
		require.Equal(t, tc.n, n)
	}
	ids := stored(t, js)
	require.Len(t, ids, 1524)
	for i, id := range ids {
		require.Equal(t, fmt.Sprintf("test-1.1/pbx1/1/%d", i+1), id)
	}
}

// TestTooLarge: a record that the server never takes is told apart, and those
// before it are stored.
func TestTooLarge(t *testing.T) {
	s := serve(t)
	b := broker(t, s.URL())
	list := records("pbx1", 0, 1, 5)
	list[2].Payload = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	n, err := b.Publish(t.Context(), list)
	require.Equal(t, 2, n)
	var refused *bridge.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, list[2].ID(), refused.ID)
	n, err = b.Publish(t.Context(), list[3:])
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

// TestFence: who holds the node alone may publish for it.
func TestFence(t *testing.T) {
	s := serve(t)
	first, second := broker(t, s.URL()), broker(t, s.URL())
	_, js := client(t, s.URL())
	take := func(b *amijs.Broker, node, instance string) uint64 {
		token, err := b.Fence(t.Context(), bridge.Takeover{Node: node, Instance: instance, Time: time.Now()})
		require.NoError(t, err)
		require.NotZero(t, token)
		return token
	}
	one, other := take(first, "pbx.1/a", "a-1.1"), take(first, "pbx2", "a-1.2")
	n, err := first.Publish(t.Context(), append(records("pbx.1/a", one, 1, 10), records("pbx2", other, 1, 10)...))
	require.NoError(t, err)
	require.Equal(t, 20, n)
	two := take(second, "pbx.1/a", "b-1.1")
	require.Greater(t, two, one)

	n, err = first.Publish(t.Context(), append(records("pbx2", other, 11, 3), records("pbx.1/a", one, 11, 3)...))
	require.Equal(t, 3, n, "those of the other node")
	require.ErrorIs(t, err, bridge.ErrFenced)
	n, err = second.Publish(t.Context(), records("pbx.1/a", two, 21, 3))
	require.NoError(t, err)
	require.Equal(t, 3, n)

	stream, err := js.Stream(t.Context(), "AMI")
	require.NoError(t, err)
	m, err := stream.GetMsg(t.Context(), two)
	require.NoError(t, err)
	require.Equal(t, "ami.events.pbx=2E1=2Fa.takeover.Takeover", m.Subject)
	var p struct {
		Gap struct{ After string }
	}
	require.NoError(t, json.Unmarshal(m.Data, &p))
	require.Equal(t, "test-1.1/pbx.1/a/1/10", p.Gap.After)
}

func TestPutState(t *testing.T) {
	s := serve(t)
	b := broker(t, s.URL())
	_, js := client(t, s.URL())
	require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: "pbx.1", State: "ready"}))
	require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: "pbx.1", State: "disconnected"}))
	kv, err := js.KeyValue(t.Context(), "AMI_STATES")
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), "pbx=2E1")
	require.NoError(t, err)
	var state bridge.NodeState
	require.NoError(t, json.Unmarshal(e.Value(), &state))
	require.Equal(t, "disconnected", state.State)
}

// TestServe: requests for nodes that come and go.
func TestServe(t *testing.T) {
	s := serve(t)
	b := broker(t, s.URL())
	nc, _ := client(t, s.URL())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.Serve(ctx, func() []string { return []string{"pbx.1"} }, func(ctx context.Context, r bridge.Request) []byte {
			at, _ := ctx.Deadline()
			return fmt.Appendf(nil, "%s %s %v", r.Node, r.Data, time.Until(at) < 10*time.Second)
		})
	}()
	ask := func(subject, timeout string) string {
		var reply *nats.Msg
		require.Eventually(t, func() bool {
			m := &nats.Msg{Subject: subject, Data: []byte("x"), Header: nats.Header{amijs.HeaderTimeout: {timeout}}}
			var err error
			reply, err = nc.RequestMsg(m, time.Second)
			return err == nil
		}, soon, 10*time.Millisecond, subject)
		return string(reply.Data)
	}
	require.Equal(t, "pbx.1 x true", ask("ami.do.pbx=2E1", "5s"))
	require.Equal(t, " x false", ask("ami.do.any", ""))
	_, err := nc.Request("ami.do.pbx9", nil, time.Second)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

// TestAway: without a server nothing is stored and nobody is kept waiting.
func TestAway(t *testing.T) {
	b := broker(t, "nats://127.0.0.1:1")
	n, err := b.Publish(t.Context(), records("pbx1", 0, 1, 2))
	require.Zero(t, n)
	require.ErrorContains(t, err, "not connected")
	_, err = b.Fence(t.Context(), bridge.Takeover{Node: "pbx1"})
	require.Error(t, err)
	require.Error(t, b.PutState(t.Context(), bridge.NodeState{Node: "pbx1"}))
}

func TestOptions(t *testing.T) {
	nc, err := amijs.Connect("nats://127.0.0.1:1")
	require.NoError(t, err)
	defer nc.Close()
	for option, o := range map[string]amijs.Options{
		"Stream": {Stream: "a.b"}, "Bucket": {Bucket: "a b"}, "Prefix": {Prefix: "a..b"}, "MaxAge": {MaxAge: 1},
		"MaxBytes": {MaxBytes: 1}, "Replicas": {Replicas: 6}, "Timeout": {Timeout: -1}, "RequestTimeout": {RequestTimeout: -1},
	} {
		_, err := amijs.New(nc, o)
		var e *amijs.OptionError
		require.ErrorAs(t, err, &e, option)
		require.Equal(t, option, e.Option)
	}
}
