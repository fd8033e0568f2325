package jetstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute

func TestMain(m *testing.M) {
	if natstest.Serve() {
		return
	}
	goleak.VerifyTestMain(m)
}

// here starts a server in this process.
func here(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// inEach runs a test with the server of this process and with that of the system,
// if there is one.
func inEach(t *testing.T, test func(t *testing.T, o jetstream.Options)) {
	t.Run("embedded", func(t *testing.T) {
		test(t, jetstream.Options{Server: here(t)})
	})
	t.Run("system", func(t *testing.T) { test(t, ofSystem(t)) })
}

// ofSystem returns options for a stream of the test's own on the system's server.
func ofSystem(t *testing.T) jetstream.Options {
	t.Helper()
	id := nuid.Next()
	o := jetstream.Options{URL: natstest.System(t), Stream: "T" + id, Prefix: "t" + id}
	t.Cleanup(func() {
		c := client(t, o)
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		for _, name := range []string{o.Stream, "KV_" + o.Stream + "_STATES"} {
			if err := c.DeleteStream(ctx, name); err != nil {
				require.ErrorIs(t, err, js.ErrStreamNotFound)
			}
		}
	})
	return o
}

// client is what a service uses.
func client(t testing.TB, o jetstream.Options) js.JetStream {
	t.Helper()
	opts := []nats.Option{nats.Timeout(soon)}
	if o.Server != nil {
		opts = append(opts, nats.InProcessServer(o.Server))
	}
	nc, err := nats.Connect(o.URL, opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	c, err := js.New(nc, js.WithDefaultTimeout(soon))
	require.NoError(t, err)
	return c
}

func open(t testing.TB, o jetstream.Options) *jetstream.Broker {
	t.Helper()
	b, err := jetstream.Open(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// withToken gives records the proof of a hold.
func withToken(records []bridge.Record, token uint64) []bridge.Record {
	for i := range records {
		records[i].Token = token
	}
	return records
}

// stored returns all that the stream has, in its order.
func stored(t testing.TB, o jetstream.Options) []*js.RawStreamMsg {
	t.Helper()
	c := client(t, o)
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	stream, err := c.Stream(ctx, nameOf(o))
	require.NoError(t, err)
	n := int(stream.CachedInfo().State.Msgs)
	consumer, err := stream.OrderedConsumer(ctx, js.OrderedConsumerConfig{})
	require.NoError(t, err)
	all := make([]*js.RawStreamMsg, 0, n)
	if n == 0 {
		return all
	}
	messages, err := consumer.Messages()
	require.NoError(t, err)
	defer messages.Stop()
	for len(all) < n {
		m, err := messages.Next(js.NextContext(ctx))
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		all = append(all, &js.RawStreamMsg{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Header: m.Headers(), Data: m.Data(), Time: meta.Timestamp})
	}
	return all
}

// ids are those of messages.
func ids(all []*js.RawStreamMsg) []string {
	s := make([]string, len(all))
	for i, m := range all {
		s[i] = m.Header.Get(js.MsgIDHeader)
	}
	return s
}

// idsOf are those of records.
func idsOf(records []bridge.Record) []string {
	s := make([]string, len(records))
	for i := range records {
		s[i] = records[i].ID()
	}
	return s
}
