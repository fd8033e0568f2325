package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
)

// A Broker is a bridge.Broker, StateStore, Requester and Fencer. Its methods may
// be called from any goroutine, Publish by one at a time.
type Broker struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	options Options
	log     *slog.Logger

	mu     sync.Mutex
	stream *jetstream.StreamInfo // nil until it is known to be there
	states jetstream.KeyValue    // likewise
}

var _ interface {
	bridge.Broker
	bridge.StateStore
	bridge.Requester
	bridge.Fencer
} = (*Broker)(nil)

// errNotConnected is why nothing is tried without a connection.
var errNotConnected = errors.New("jetstream: not connected to NATS")

// Connect returns a connection that is fit for New: it comes back for ever, also if
// there is no server yet, and what it cannot send fails instead of being kept, as
// the bridge keeps it.
func Connect(url string, opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append([]nats.Option{
		nats.Name("ami bridge"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
	}, opts...)...)
}

// New returns a Broker on a connection, which Close closes. The error is an
// *OptionError. Stream and bucket are made when they are first needed, so that the
// server need not be there.
func New(nc *nats.Conn, o Options) (*Broker, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(o.Timeout))
	if err != nil {
		return nil, err
	}
	return &Broker{nc: nc, js: js, options: o, log: o.Logger}, nil
}

// Close implements bridge.Broker.
func (b *Broker) Close() error {
	b.nc.Close()
	return nil
}

// ensure makes the stream if it is not there.
func (b *Broker) ensure(ctx context.Context) (*jetstream.StreamInfo, error) {
	if !b.nc.IsConnected() {
		return nil, errNotConnected
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stream != nil {
		return b.stream, nil
	}
	s, err := b.js.Stream(ctx, b.options.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, b.options.stream())
	}
	if err != nil {
		return nil, err
	}
	b.stream = s.CachedInfo()
	if !b.stream.Config.AllowAtomicPublish {
		b.log.Warn("the stream allows no atomic publish: records go one by one, which is slow", "stream", b.options.Stream)
	}
	return b.stream, nil
}

// forget has the stream looked for again: it may have been deleted.
func (b *Broker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stream, b.states = nil, nil
}

// bucket makes the bucket of the states if it is not there.
func (b *Broker) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	if !b.nc.IsConnected() {
		return nil, errNotConnected
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states != nil {
		return b.states, nil
	}
	kv, err := b.js.KeyValue(ctx, b.options.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: b.options.Bucket, History: 1, Replicas: b.options.Replicas, Description: "states of Asterisk servers",
		})
	}
	if err != nil {
		return nil, err
	}
	b.states = kv
	return kv, nil
}

// token writes a text as a part of a subject.
func token(s string) string {
	const hex = "0123456789ABCDEF"
	odd := func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	i := 0
	for i < len(s) && !odd(s[i]) {
		i++
	}
	if i == len(s) && s != "" {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if odd(s[i]) {
			b.WriteByte('=')
			b.WriteByte(hex[s[i]>>4])
			b.WriteByte(hex[s[i]&15])
		} else {
			b.WriteByte(s[i])
		}
	}
	if s == "" {
		return "="
	}
	return b.String()
}

// subject is that of a record.
func (b *Broker) subject(r *bridge.Record) string {
	return b.options.Prefix + ".events." + token(r.Node) + "." + r.Kind.String() + "." + token(r.Name)
}

// takeovers is the subject of a node's takeovers.
func (b *Broker) takeovers(node string) string {
	return b.options.Prefix + ".events." + token(node) + "." + bridge.KindTakeover.String() + ".Takeover"
}
