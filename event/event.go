package event

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/apn/ami/frame"
)

// An Event is one message that Asterisk sent of its own accord, or a Gap. It is
// an immutable value: keep it, copy it, hand it to other goroutines.
type Event struct {
	// Node is the key of the Asterisk server that sent it.
	Node string

	// Seq numbers what was received from the node, from 1, gaps included and
	// across reconnects. Every subscription sees the same number for the same
	// event; numbers missing in between were filtered out or dropped.
	Seq uint64

	// Time is when the bytes were read from the socket. Events that came with
	// one read share it. Asterisk's own clock is in the Timestamp header if
	// manager.conf has timestampevents = yes.
	Time time.Time

	// Lost is the number of events dropped on this subscription between the
	// event delivered before and this one, because it did not keep up.
	Lost uint64

	// Frame is the message as received, never nil. That of a gap is empty.
	Frame *frame.Frame

	gap *Gap
}

// Name returns the event's name in Asterisk's spelling ("Hangup"), "" for a
// gap.
func (e Event) Name() string { return e.Frame.Name() }

// Get returns the value of the first header named key, whatever the case, ""
// if there is none.
func (e Event) Get(key string) string { return e.Frame.Get(key) }

// Timestamp returns when Asterisk made the event, to the microsecond, by the
// clock of its server; false without the header Timestamp, which broadcasts have
// if manager.conf says timestampevents = yes, and items of lists never.
func (e Event) Timestamp() (time.Time, bool) {
	d := decoder{value: e.Get("Timestamp"), frame: e.Frame}
	t := d.timestamp()
	return t, d.invalid == nil
}

// Gap returns the gap that the event tells of, and whether it is one.
func (e Event) Gap() (Gap, bool) {
	if e.gap == nil {
		return Gap{}, false
	}
	return *e.gap, true
}

// String returns node, number and name and no header's value.
func (e Event) String() string {
	if e.gap != nil {
		return fmt.Sprintf("%s #%d %s", e.Node, e.Seq, e.gap)
	}
	return fmt.Sprintf("%s #%d %s", e.Node, e.Seq, e.Name())
}

// Format makes every verb print what String returns, also of the typed events,
// which embed an Event: their fields may hold secrets as well.
func (e Event) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, e.String()) // a fmt.State has nowhere to report to
}

// LogValue returns what String returns.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }

// A Gap tells in band that the node was away: between the event before it and
// the one behind it Asterisk may have sent others that nobody received. State
// that was built from events should be read afresh.
type Gap struct {
	// From is the epoch of the session that ended, 0 if there never was one.
	// To is that of the session that is up now, 0 if none will be: the node was
	// taken out of its cluster, and this is the last that is heard of it.
	From, To uint64
	Down     time.Duration // from the end of the one to the login of the other, or to the removal
	Reason   error         // what ended the session; never nil
}

// Final reports whether the node has left for good.
func (g Gap) Final() bool { return g.To == 0 }

// String returns the gap in a few words.
func (g Gap) String() string {
	if g.Final() {
		return fmt.Sprintf("end of the node after session %d: %v", g.From, g.Reason)
	}
	return fmt.Sprintf("gap of %v between sessions %d and %d: %v", g.Down, g.From, g.To, g.Reason)
}

// OfGap returns the event that tells of g.
func OfGap(node string, seq uint64, at time.Time, g Gap) Event {
	return Event{Node: node, Seq: seq, Time: at, Frame: &empty, gap: &g}
}

var empty frame.Frame

// MergeGaps returns the one gap that stands for both: a comes before b and what
// was between them is lost.
func MergeGaps(a, b Event) Event {
	g := *b.gap
	g.From, g.Down = a.gap.From, a.gap.Down+b.gap.Down
	b.gap = &g
	b.Lost += a.Lost
	return b
}
