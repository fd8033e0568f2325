package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/redisstream"
)

// TestConfirmationLost: the connection dies when the server has stored a batch and
// before the broker hears of it, again and again. Nothing is stored twice, nothing
// is missing.
func TestConfirmationLost(t *testing.T) {
	o := ofSystem(t)
	p := through(t, o.URL)
	direct := o
	o.URL = p.url()
	b := open(t, o)
	lost := 0
	// A confirmation is a list, as nothing else that passes here but what HELLO
	// answers, which is longer.
	p.answers(func(answer []byte) ([]byte, bool) {
		if bytes.HasPrefix(answer, []byte("*3\r\n:")) && (lost == 0 || rand.IntN(3) == 0) {
			lost++
			return nil, true
		}
		return answer, false
	})
	var all []bridge.Record
	nodes := []string{"a", "b", "c"}
	for i := range 6000 {
		r := brokertest.Records(nodes[i%3], i/3+1, 1)[0]
		if i > 3000 { // another hold
			r.Instance, r.Seq = "i2", r.Seq-1000
		}
		all = append(all, r)
	}
	for rest := all; len(rest) > 0; {
		n, _ := b.Publish(t.Context(), rest[:min(len(rest), 1+rand.IntN(1200))]) // fails again and again
		rest = rest[n:]
	}
	for _, node := range nodes {
		require.Equal(t, idsOf(node, all), ids(t, direct, node))
	}
	p.answers(nil)
	stats := b.Stats()
	t.Logf("%d confirmations lost, %+v", lost, stats)
	require.Positive(t, lost)
	require.Positive(t, stats.Duplicates)
	require.Equal(t, uint64(len(all)), stats.Published)
}

// TestSilentServer: a server that takes records and says nothing keeps neither the
// caller nor Close.
func TestSilentServer(t *testing.T) {
	o := ofSystem(t)
	p := through(t, o.URL)
	o.URL, o.AckTimeout = p.url(), time.Hour
	swallowed := make(chan struct{}, 100)
	swallow := func([]byte) ([]byte, bool) {
		swallowed <- struct{}{}
		return nil, false
	}
	errOver := errors.New("over")
	for name, end := range map[string]func(b *redisstream.Broker, cancel context.CancelCauseFunc){
		"context": func(_ *redisstream.Broker, cancel context.CancelCauseFunc) { cancel(errOver) },
		"close":   func(b *redisstream.Broker, _ context.CancelCauseFunc) { _ = b.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			for _, call := range []func(ctx context.Context, b *redisstream.Broker) error{
				func(ctx context.Context, b *redisstream.Broker) error {
					_, err := b.Publish(ctx, brokertest.Records("a", 1, 10))
					return err
				},
				func(ctx context.Context, b *redisstream.Broker) error {
					return b.PutState(ctx, bridge.NodeState{Node: "a"})
				},
			} {
				p.answers(nil)
				b := open(t, o) // and it has a connection
				p.answers(swallow)
				ctx, cancel := context.WithCancelCause(t.Context())
				t.Cleanup(func() { cancel(nil) })
				done := make(chan error, 1)
				go func() { done <- call(ctx, b) }()
				<-swallowed
				end(b, cancel)
				select {
				case err := <-done:
					if name == "context" {
						require.ErrorIs(t, err, errOver)
					} else {
						require.ErrorIs(t, err, redisstream.ErrClosed)
					}
				case <-time.After(soon): // AckTimeout is longer
					t.Fatal("it waits")
				}
			}
		})
	}
	t.Run("timeout", func(t *testing.T) {
		p.answers(nil)
		o.AckTimeout = time.Second
		b := open(t, o)
		p.answers(swallow)
		n, err := b.Publish(t.Context(), brokertest.Records("b", 1, 10))
		require.ErrorContains(t, err, "timeout")
		require.Zero(t, n)
		p.answers(nil)
		require.Eventually(t, func() bool { // a busy machine may be as silent
			n, _ := b.Publish(t.Context(), brokertest.Records("b", 1, 10))
			return n == 10
		}, soon, tick)
		require.Equal(t, uint64(10), b.Stats().Duplicates)
	})
}

// TestNonsense: what is no answer of the script stops Publish, and is told.
func TestNonsense(t *testing.T) {
	o := ofSystem(t)
	p := through(t, o.URL)
	o.URL = p.url()
	b := open(t, o)
	for i, nonsense := range []string{
		"+OK\r\n", "*0\r\n", "*3\r\n:2\r\n:0\r\n$0\r\n\r\n", "*3\r\n:1\r\n:2\r\n$0\r\n\r\n", "*3\r\n:0\r\n:0\r\n$0\r\n\r\n",
		"*3\r\n:1\r\n:0\r\n$3\r\nOOM\r\n", "*3\r\n:1\r\n:0\r\n:0\r\n", "*3\r\n:-1\r\n:-1\r\n$3\r\nOOM\r\n", "?\r\n", "*-1\r\n",
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			p.answers(func(answer []byte) ([]byte, bool) {
				if bytes.HasPrefix(answer, []byte("*3\r\n:")) {
					return []byte(nonsense), false
				}
				return answer, false
			})
			n, err := b.Publish(t.Context(), brokertest.Records("a", i+1, 1))
			require.Error(t, err)
			require.Zero(t, n)
			_, refused := errors.AsType[*bridge.RefusedError](err)
			require.False(t, refused)
			p.answers(nil)
			publish(t, b, brokertest.Records("a", i+1, 1))
		})
	}
}
