//go:build unix

package jetstream_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/natstest"
	"github.com/apn/ami/bridge/jetstream"
)

// TestSilence: a server that stands still is left after AckTimeout, and what it
// does with the old connection once it goes on changes neither number nor order.
func TestSilence(t *testing.T) {
	c := natstest.New(t, natstest.Path())
	c.Start(t)
	o := jetstream.Options{URL: c.URL(), AckTimeout: 2 * time.Second, DialTimeout: 2 * time.Second}
	b := open(t, o)
	records := brokertest.Records("a", 1, 3000)
	n := 0
	for n < 1000 { // a busy machine may be as silent
		m, _ := b.Publish(t.Context(), records[n:1000])
		n += m
	}
	c.Signal(t, syscall.SIGSTOP)
	m, err := b.Publish(t.Context(), records[n:])
	require.ErrorIs(t, err, jetstream.ErrAckTimeout)
	n += m
	_, err = b.Publish(t.Context(), records[n:])
	require.Error(t, err)
	c.Signal(t, syscall.SIGCONT)
	require.Eventually(t, func() bool {
		m, _ := b.Publish(t.Context(), records[n:]) // until it is there again
		n += m
		return n == len(records)
	}, soon, time.Millisecond)
	require.Equal(t, idsOf(records), ids(stored(t, o)))
	require.Zero(t, b.Stats().Reordered)
}
