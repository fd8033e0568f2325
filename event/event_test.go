package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func varSet(t *testing.T) event.Event {
	t.Helper()
	f, err := frame.Parse("Event: VarSet\r\nVariable: X_TOKEN\r\nvariable: second\r\nValue: canary\r\n")
	require.NoError(t, err)
	return event.Event{Node: "pbx1", Seq: 7, Time: at, Lost: 2, Frame: f}
}

func TestEvent(t *testing.T) { // F2
	e := varSet(t)
	require.Equal(t, "VarSet", e.Name())
	require.Equal(t, "canary", e.Get("VALUE"), "whatever the case")
	require.Equal(t, "X_TOKEN", e.Get("variable"), "the first")
	require.Empty(t, e.Get("Nothing"))
	gap, ok := e.Gap()
	require.False(t, ok)
	require.Zero(t, gap)
}

func TestGap(t *testing.T) { // E7
	reason := fmt.Errorf("why: %w", io.EOF)
	want := event.Gap{From: 1, To: 2, Down: 3 * time.Second, Reason: reason}
	e := event.OfGap("pbx1", 9, at, want)
	require.Equal(t, "pbx1", e.Node)
	require.EqualValues(t, 9, e.Seq)
	require.Equal(t, at, e.Time)
	require.Zero(t, e.Lost)
	require.Empty(t, e.Name(), "no name is that of a gap")
	require.NotNil(t, e.Frame)
	require.Zero(t, e.Frame.Len())
	require.Empty(t, e.Get("Event"))
	gap, ok := e.Gap()
	require.True(t, ok)
	require.Equal(t, want, gap)

	gap.From, gap.Reason = 100, nil // a copy: the event does not change
	again, _ := e.Gap()
	require.Equal(t, want, again)
}

func TestMergeGaps(t *testing.T) { // E6, E7: no gap is ever lost
	first, second, third := errors.New("first"), errors.New("second"), errors.New("third")
	a := event.OfGap("pbx1", 10, at, event.Gap{From: 1, To: 2, Down: time.Second, Reason: first})
	b := event.OfGap("pbx1", 20, at.Add(time.Minute), event.Gap{From: 2, To: 3, Down: 2 * time.Second, Reason: second})
	c := event.OfGap("pbx1", 30, at.Add(time.Hour), event.Gap{From: 3, To: 4, Down: 4 * time.Second, Reason: third})
	a.Lost, b.Lost, c.Lost = 5, 6, 7

	m := event.MergeGaps(a, b)
	gap, ok := m.Gap()
	require.True(t, ok)
	require.Equal(t, event.Gap{From: 1, To: 3, Down: 3 * time.Second, Reason: second}, gap)
	require.EqualValues(t, 20, m.Seq, "it stands where the second stood")
	require.Equal(t, b.Time, m.Time)
	require.EqualValues(t, 11, m.Lost)

	gap, _ = event.MergeGaps(m, c).Gap()
	require.Equal(t, event.Gap{From: 1, To: 4, Down: 7 * time.Second, Reason: third}, gap)
	gap, _ = event.MergeGaps(a, event.MergeGaps(b, c)).Gap()
	require.Equal(t, event.Gap{From: 1, To: 4, Down: 7 * time.Second, Reason: third}, gap, "in any order of merging")

	for i, e := range []event.Event{a, b, c} { // events are immutable
		gap, _ := e.Gap()
		require.EqualValues(t, i+1, gap.From)
		require.Equal(t, time.Duration(1<<i)*time.Second, gap.Down)
		require.EqualValues(t, i+5, e.Lost)
	}
}

func TestTimestamp(t *testing.T) { // F1
	for _, tc := range []struct {
		name, header string
		want         time.Time
		ok           bool
	}{
		{"microseconds", "Timestamp: 1795419656.589808\r\n", time.Unix(1795419656, 589808000), true},
		{"fewer digits", "Timestamp: 1795419656.5\r\n", time.Unix(1795419656, 500000000), true},
		{"none", "", time.Time{}, false},
		{"no number", "Timestamp: yesterday\r\n", time.Time{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := frame.Parse("Event: Test\r\n" + tc.header + "\r\n")
			require.NoError(t, err)
			got, ok := event.Event{Frame: f}.Timestamp()
			require.Equal(t, tc.ok, ok)
			require.True(t, tc.want.Equal(got), "%v", got)
		})
	}
}

func TestPrinting(t *testing.T) { // G2: no header's value
	e := varSet(t)
	gap := event.OfGap("pbx1", 9, at, event.Gap{From: 1, To: 2, Down: time.Second, Reason: io.EOF})
	require.Equal(t, "pbx1 #7 VarSet", e.String())
	require.Equal(t, "pbx1 #9 gap of 1s between sessions 1 and 2: EOF", gap.String())
	require.Equal(t, "pbx1 #7 VarSet", fmt.Sprint(e))
	for _, v := range []any{e, &e, []event.Event{e}, map[string]event.Event{"e": e}, struct{ E event.Event }{e}, struct{ e event.Event }{e}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			require.NotContains(t, fmt.Sprintf(verb, v), "canary", "%s of %T", verb, v)
			require.NotContains(t, fmt.Sprintf(verb, v), "63616e617279", "%s of %T", verb, v)
		}
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "canary")
	}
}
