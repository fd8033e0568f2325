package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestRate(t *testing.T) {
	type step struct {
		after time.Duration
		count uint64
		want  float64
		known bool
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"nothing yet", []step{{0, 500, 0, false}}},
		{"the first difference counts in full", []step{{0, 500, 0, false}, {time.Second, 600, 100, true}}},
		{"half a second", []step{{0, 0, 0, false}, {500 * time.Millisecond, 100, 200, true}}},
		{"an even flow stays", []step{{0, 0, 0, false}, {time.Second, 100, 100, true}, {time.Second, 200, 100, true}, {2 * time.Second, 400, 100, true}}},
		{"the end of a flow is averaged", []step{{0, 0, 0, false}, {time.Second, 100, 100, true}, {3 * time.Second, 100, 36.788, true}, {3 * time.Second, 100, 13.534, true}}},
		{"many steps are as one", []step{{0, 0, 0, false}, {time.Second, 100, 100, true}, {time.Second, 100, 71.653, true}, {time.Second, 100, 51.342, true}, {time.Second, 100, 36.788, true}}},
		{"it counts from 0 again", []step{{0, 900, 0, false}, {time.Second, 1000, 100, true}, {time.Second, 5, 100, true}, {time.Second, 105, 100, true}}},
		{"no time has passed", []step{{0, 0, 0, false}, {0, 100, 0, false}, {time.Second, 100, 100, true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r rate
			at := noon
			for _, s := range tc.steps {
				at = at.Add(s.after)
				r.take(s.count, at)
				require.InDelta(t, s.want, r.value, 0.001)
				require.Equal(t, s.known, r.known)
			}
		})
	}
}

// sampled makes a sample of a node that is ready.
func sampled(key string, events uint64) nodeSample {
	return nodeSample{
		key: key, addr: "192.0.2.1:5038", channels: -1,
		stats: ami.Stats{State: ami.Ready, Since: noon.Add(-time.Minute), Epoch: 1, Connects: 1, Events: events, Breaker: "closed"},
	}
}

// keysShown are the nodes in the order in which they are shown.
func keysShown(b *board) (keys []string) {
	for _, r := range b.shown() {
		keys = append(keys, r.key)
	}
	return keys
}

// columnOf finds a column.
func columnOf(t *testing.T, title string) int {
	for i, c := range columns {
		if c.title == title {
			return i
		}
	}
	require.Fail(t, "no such column", title)
	return 0
}

// someNodes is a board of three nodes that differ in everything.
func someNodes() *board {
	b := newBoard()
	first := []nodeSample{sampled("pbx2", 0), sampled("pbx10", 0), sampled("lab", 0)}
	b.take(first, noon.Add(-time.Second))
	busy, down, idle := sampled("pbx2", 1234), sampled("pbx10", 5), sampled("lab", 0)
	busy.stats.Queued, busy.stats.Pending, busy.channels, busy.version, busy.latency = 17, 2, 120, "22.10.1", 310*time.Microsecond
	busy.stats.EventsDropped = 40
	busy.names = map[string]uint64{"Newchannel": 1000, "Hangup": 200, "Cdr": 34}
	down.stats.State, down.stats.Reason = ami.Disconnected, fmt.Errorf("ami: node pbx10: session 192.0.2.7:5038: EOF")
	down.stats.Since, down.stats.Epoch, down.stats.Connects, down.stats.Losses = noon.Add(-5*time.Second), 3, 3, 3
	down.version = "20.20.1"
	down.gap = &pastGap{Gap: event.Gap{From: 2, To: 3, Down: 812 * time.Millisecond, Reason: fmt.Errorf("ami: node pbx10: session 192.0.2.7:5038: EOF")}, at: noon.Add(-20 * time.Second)}
	idle.stats.Since, idle.channels, idle.latency, idle.version = noon.Add(-50*time.Hour), 0, 2*time.Millisecond, "18.26.4"
	b.take([]nodeSample{busy, down, idle}, noon)
	return b
}

func TestSortAndFilter(t *testing.T) {
	for _, tc := range []struct {
		column  string
		reverse bool
		filter  string
		want    string
	}{
		{"NODE", false, "", "lab pbx10 pbx2"},
		{"NODE", true, "", "pbx2 pbx10 lab"},
		{"NODE", false, "PBX", "pbx10 pbx2"},
		{"NODE", false, "nobody", ""},
		{"STATE", false, "", "pbx10 lab pbx2"},
		{"SINCE", false, "", "pbx10 pbx2 lab"},
		{"RECONN", false, "", "pbx10 lab pbx2"},
		{"EPOCH", false, "", "pbx10 lab pbx2"},
		{"EVENTS/S", false, "", "pbx2 pbx10 lab"},
		{"EVENTS/S", true, "", "lab pbx10 pbx2"},
		{"QUEUE", false, "", "pbx2 lab pbx10"},
		{"DROPS", false, "", "pbx2 lab pbx10"},
		{"PEND", false, "", "pbx2 lab pbx10"},
		{"LATENCY", false, "", "lab pbx2 pbx10"},
		{"CHANS", false, "", "pbx2 lab pbx10"},
		{"ASTERISK", false, "", "lab pbx10 pbx2"},
		{"REASON", false, "", "pbx10 lab pbx2"},
	} {
		t.Run(fmt.Sprint(tc.column, tc.reverse, tc.filter), func(t *testing.T) {
			b := someNodes()
			b.sortBy, b.reverse = columnOf(t, tc.column), tc.reverse
			b.filterBy(tc.filter)
			require.Equal(t, tc.want, strings.Join(keysShown(b), " "))
		})
	}
}

// TestSortNext goes round the columns in sight.
func TestSortNext(t *testing.T) {
	b := someNodes()
	visible := []int{0, 1, 5}
	b.reverse, b.cursor = true, 2
	for _, want := range []int{1, 5, 0, 1} {
		b.sortNext(visible, 1)
		require.Equal(t, want, b.sortBy)
		require.False(t, b.reverse)
		require.Zero(t, b.cursor)
	}
	b.sortNext(visible, -1)
	b.sortNext(visible, -1)
	require.Equal(t, 5, b.sortBy)
	b.sortBy = 9 // the screen was wider
	b.sortNext(visible, 1)
	require.Equal(t, 0, b.sortBy)
}

func TestScroll(t *testing.T) {
	many := newBoard()
	var samples []nodeSample
	for i := range 10 {
		samples = append(samples, sampled(fmt.Sprintf("pbx%d", i), 0))
	}
	many.take(samples, noon)
	for _, tc := range []struct {
		name               string
		cursor, top        int
		step, lines        int
		wantCursor, wantTo int
	}{
		{"nothing", 0, 0, 0, 4, 0, 0},
		{"down in sight", 0, 0, 3, 4, 3, 0},
		{"down out of sight", 3, 0, 1, 4, 4, 1},
		{"up in sight", 4, 3, -1, 4, 3, 3},
		{"up out of sight", 3, 3, -1, 4, 2, 2},
		{"above the first", 1, 1, -4, 4, 0, 0},
		{"below the last", 8, 6, 4, 4, 9, 6},
		{"higher than all", 9, 6, 0, 24, 9, 0},
		{"no line at all", 5, 2, 0, 0, 5, 5},
		{"grown", 9, 9, 0, 4, 9, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			many.cursor, many.top = tc.cursor, tc.top
			many.move(tc.step, tc.lines)
			require.Equal(t, tc.wantCursor, many.cursor, "cursor")
			require.Equal(t, tc.wantTo, many.top, "top")
			require.Equal(t, fmt.Sprintf("pbx%d", tc.wantCursor), many.chosen())
		})
	}
	many.filterBy("x7")
	require.Equal(t, "pbx7", many.chosen())
	many.filterBy("none")
	many.move(1, 4)
	require.Empty(t, many.chosen())
}

// TestDrops are shown as growing for some seconds.
func TestDrops(t *testing.T) {
	b := newBoard()
	s := sampled("pbx1", 0)
	for i, tc := range []struct {
		queue, lost uint64
		total       uint64
		growing     bool
	}{
		{0, 0, 0, false}, {3, 0, 3, true}, {3, 3, 3, true}, {3, 3, 3, true}, {3, 3, 3, false}, {3, 5, 5, true},
	} {
		s.stats.EventsDropped, s.lost = tc.queue, tc.lost
		b.take([]nodeSample{s}, noon.Add(time.Duration(i)*time.Second))
		require.Equal(t, tc.total, b.rows[0].dropped(), i)
		require.Equal(t, tc.growing, b.dropping(b.rows[0]), i)
		require.Equal(t, tc.growing, b.totals().dropping, i)
	}
}

// TestReasonStays while a node is tried again, and is told of one that is back.
func TestReasonStays(t *testing.T) {
	b := newBoard()
	s := sampled("pbx1", 0)
	s.stats.State, s.stats.Reason = ami.Disconnected, fmt.Errorf("ami: node pbx1: no route")
	b.take([]nodeSample{s}, noon)
	require.Equal(t, "no route", b.rows[0].reason())
	s.stats.State, s.stats.Reason = ami.Connecting, nil
	b.take([]nodeSample{s}, noon.Add(time.Second))
	require.Equal(t, "no route", b.rows[0].reason())
	s.stats.State = ami.Ready
	b.take([]nodeSample{s}, noon.Add(2*time.Second))
	require.Empty(t, b.rows[0].reason())
	require.Equal(t, "no route", b.rows[0].why)
}

func TestBusiest(t *testing.T) {
	b := newBoard()
	s := sampled("pbx1", 0)
	s.names = map[string]uint64{"A": 1000, "B": 5}
	b.take([]nodeSample{s}, noon)
	s.names = map[string]uint64{"A": 1000, "B": 15, "New": 30}
	b.take([]nodeSample{s}, noon.Add(2*time.Second))
	require.Equal(t, []nameRate{{"New", 30, 15}, {"B", 15, 5}}, b.rows[0].busiest(2))
	require.Len(t, b.rows[0].busiest(10), 3)
}

func TestShortNumbers(t *testing.T) {
	for in, want := range map[uint64]string{
		0: "0", 99_999: "99999", 100_000: "100k", 123_456: "123k", 999_499: "999k", 999_500: "1.0M", 1_234_567: "1.2M", 99_950_000: "100M",
		1<<64 - 1: "much",
	} {
		require.Equal(t, want, shortCount(in), in)
	}
	for in, want := range map[float64]string{0: "0.0", 0.04: "0.0", 12.34: "12.3", 999.94: "999.9", 999.95: "1000", 12_345.6: "12346", 1e5: "100k", 2.5e6: "2.5M"} {
		require.Equal(t, want, shortRate(in), in)
	}
	for in, want := range map[time.Duration]string{
		310 * time.Microsecond: "0.31 ms", 999 * time.Millisecond: "999.00 ms", time.Second: "1.00 s", 999 * time.Second: "999.00 s", time.Hour: "1h0m",
	} {
		require.Equal(t, want, shortTime(in))
	}
}

// made makes an event of a node.
func made(t *testing.T, name string, headers ...string) event.Event {
	t.Helper()
	var text strings.Builder
	text.WriteString("Event: " + name + "\r\n")
	for i := 0; i < len(headers); i += 2 {
		text.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	f, err := frame.Parse(text.String() + "\r\n")
	require.NoError(t, err)
	return event.Event{Node: "pbx1", Frame: f}
}

// TestChannels: whatever the order of a list and the events around it, the number
// is right when both are in.
func TestChannels(t *testing.T) {
	come := func(id string) func(*channelSet) { return func(c *channelSet) { c.come(id) } }
	leave := func(id string) func(*channelSet) { return func(c *channelSet) { c.leave(id) } }
	listed := func(ids ...string) func(*channelSet) { return func(c *channelSet) { c.listed(ids) } }
	ask, refused, forget := (*channelSet).ask, (*channelSet).refused, (*channelSet).forget
	for _, tc := range []struct {
		name  string
		steps []func(*channelSet)
		want  int
	}{
		{"nothing is known", nil, -1},
		{"events alone tell nothing", []func(*channelSet){come("1"), leave("2")}, -1},
		{"an empty list", []func(*channelSet){ask, listed()}, 0},
		{"a list", []func(*channelSet){ask, listed("1", "2")}, 2},
		{"came and left later", []func(*channelSet){ask, listed("1"), come("2"), come("3"), leave("1")}, 2},
		{"came meanwhile, and is in the list", []func(*channelSet){ask, come("2"), listed("1", "2")}, 2},
		{"came meanwhile, and is not in the list", []func(*channelSet){ask, come("2"), listed("1")}, 2},
		{"left meanwhile, and is in the list", []func(*channelSet){ask, leave("1"), listed("1", "2")}, 1},
		{"came and left meanwhile", []func(*channelSet){ask, come("3"), leave("3"), listed("1", "3")}, 1},
		{"the second list corrects", []func(*channelSet){ask, listed("1", "2"), ask, listed("3")}, 1},
		{"the second list is asked for: the first counts on", []func(*channelSet){ask, listed("1", "2"), ask, come("3")}, 3},
		{"refused", []func(*channelSet){ask, come("1"), refused, come("2")}, -1},
		{"the second is refused: the first counts on", []func(*channelSet){ask, listed("1"), ask, come("2"), refused, leave("1")}, 1},
		{"a gap", []func(*channelSet){ask, listed("1"), forget, come("2")}, -1},
		{"a list from before a gap", []func(*channelSet){ask, forget, listed("1")}, -1},
		{"a list from behind a gap", []func(*channelSet){ask, listed("1"), forget, ask, come("2"), listed("3")}, 2},
		{"came twice, left twice", []func(*channelSet){ask, listed(), come("1"), come("1"), leave("1"), leave("1")}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c channelSet
			for _, step := range tc.steps {
				step(&c)
			}
			require.Equal(t, tc.want, c.count())
		})
	}
}

// TestTally counts names, not more than it may, and tells when channels are in
// doubt.
func TestTally(t *testing.T) {
	var n tally
	require.False(t, n.add(made(t, "Newchannel", "Uniqueid", "1")))
	require.False(t, n.add(made(t, "Newchannel", "Uniqueid", "2")))
	lossy := made(t, "Cdr")
	lossy.Lost = 7
	require.True(t, n.add(lossy))
	require.Equal(t, uint64(2), *n.names["Newchannel"])
	require.Equal(t, uint64(7), n.lost)
	n.channels.ask()
	n.channels.listed([]string{"1", "2"})
	n.add(made(t, "Hangup", "Uniqueid", "1"))
	require.Equal(t, 1, n.channels.count())
	gap := event.Gap{From: 1, To: 2, Down: time.Second, Reason: ami.ErrKeepalive}
	require.True(t, n.add(event.OfGap("pbx1", 5, noon, gap)))
	require.Equal(t, -1, n.channels.count())
	require.Equal(t, &pastGap{Gap: gap, at: noon}, n.gap)
	for i := range 2 * mostNames {
		n.add(made(t, fmt.Sprintf("Odd%d", i)))
	}
	require.Len(t, n.names, mostNames+1)
	require.Equal(t, uint64(mostNames+3), *n.names[otherNames])
}

// BenchmarkTally is what an event costs the loop.
func BenchmarkTally(b *testing.B) {
	f, err := frame.Parse("Event: UserEvent\r\nUserEvent: Flood\r\nUniqueid: 1\r\n\r\n")
	if err != nil {
		b.Fatal(err)
	}
	var n tally
	e := event.Event{Node: "pbx1", Frame: f}
	for b.Loop() {
		n.add(e)
	}
}
