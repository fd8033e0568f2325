package jetstream_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/jetstream"
)

// TestPublish: all that a record has is in the stream, in order, once.
func TestPublish(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		records := brokertest.Records("pbx.1", 1, 3000)
		n, err := b.Publish(t.Context(), records)
		require.NoError(t, err)
		require.Equal(t, len(records), n)
		n, err = b.Publish(t.Context(), records[2990:]) // as after a lost confirmation
		require.NoError(t, err)
		require.Equal(t, 10, n)

		all := stored(t, o)
		require.Equal(t, idsOf(records), ids(all))
		prefix := o.Prefix
		if prefix == "" {
			prefix = "ami"
		}
		for i, m := range all {
			r := &records[i]
			require.Equal(t, prefix+".events.pbx=2E1.Newchannel", m.Subject)
			require.Equal(t, r.Payload, m.Data)
			require.Equal(t, "pbx.1", m.Header.Get(jetstream.HeaderNode))
			require.Equal(t, "i1", m.Header.Get(jetstream.HeaderInstance))
			require.Equal(t, "1", m.Header.Get(jetstream.HeaderEpoch))
			require.Equal(t, strconv.FormatUint(r.Seq, 10), m.Header.Get(jetstream.HeaderSeq))
			require.Equal(t, "event", m.Header.Get(jetstream.HeaderKind))
			at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.HeaderTime))
			require.NoError(t, err)
			require.True(t, at.Equal(r.Time))
			require.Empty(t, m.Header.Get(js.ExpectedLastSubjSeqHeader))
		}
		require.Equal(t, jetstream.Stats{Published: 3010, Duplicates: 10, Connects: 1}, b.Stats())
	})
}

// TestLongNames: a name that makes a subject which the server does not take, and
// ends the connection for, holds up no other record.
func TestLongNames(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	b := open(t, o)
	records := brokertest.Records("a", 1, 3)
	records[1].Name = strings.Repeat(".", 2000) // each is three bytes of the subject
	n, err := b.Publish(t.Context(), records)
	require.Equal(t, 1, n)
	refused, ok := errors.AsType[*bridge.RefusedError](err)
	require.True(t, ok, err)
	require.Equal(t, records[1].ID(), refused.ID)
	n, err = b.Publish(t.Context(), records[2:])
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestNames: whatever nodes and events are called, the subjects of the bridge
// stay its own.
func TestNames(t *testing.T) {
	o := jetstream.Options{Server: here(t)}
	b := open(t, o)
	want := []struct {
		kind       bridge.Kind
		node, name string
		subject    string
	}{
		{bridge.KindEvent, "a", "Hangup", "ami.events.a.Hangup"},
		{bridge.KindEvent, "a.b@c/d_e-f", "Hangup", "ami.events.a=2Eb=40c/d_e-f.Hangup"},
		{bridge.KindEvent, "any", "any", "ami.events.=61ny.any"},
		{bridge.KindEvent, "a", "Takeover", "ami.events.a.=54akeover"},
		{bridge.KindEvent, "a", "Gap", "ami.events.a.=47ap"},
		{bridge.KindEvent, "a", "State", "ami.events.a.=53tate"},
		{bridge.KindGap, "a", "Gap", "ami.events.a.Gap"},
		{bridge.KindState, "a", "State", "ami.events.a.State"},
		{bridge.KindEvent, "a", "* > =\r\n\x00é", "ami.events.a.=2A=20=3E=20=3D=0D=0A=00=C3=A9"},
		{bridge.KindEvent, "a", "", "ami.events.a.="},
	}
	records := brokertest.Records("", 1, len(want))
	for i, w := range want {
		records[i].Node, records[i].Kind, records[i].Name = w.node, w.kind, w.name
	}
	n, err := b.Publish(t.Context(), records)
	require.NoError(t, err)
	require.Equal(t, len(want), n)
	for i, m := range stored(t, o) {
		require.Equal(t, want[i].subject, m.Subject)
		require.Equal(t, want[i].node, m.Header.Get(jetstream.HeaderNode))
	}
}
