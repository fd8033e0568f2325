package bridge

import (
	"strconv"
	"time"

	"github.com/apn/ami/event"
)

// A gap is what a record of KindGap tells.
type gap struct {
	from, to uint64 // epochs, as in event.Gap; of the instance before if after is set
	down     time.Duration
	reason   string
	final    bool
	lost     uint64 // records or events that are known to be missing; 0 if nobody knows
	after    string // ID of the last record that is known to come before the gap, of another instance
}

func gapOf(g event.Gap, lost uint64) gap {
	return gap{from: g.From, to: g.To, down: g.Down, reason: g.Reason.Error(), final: g.Final(), lost: lost}
}

// appendEvent appends the payload of an event.
func appendEvent(dst []byte, r *Record, e *event.Event) []byte {
	dst = appendHead(dst, r)
	dst = append(dst, `,"event":`...)
	dst = appendText(dst, r.Name)
	dst = append(dst, `,"headers":`...)
	dst = appendHeaders(dst, e.Frame)
	return append(dst, '}')
}

// appendGap appends the payload of a gap.
func appendGap(dst []byte, r *Record, g gap) []byte {
	dst = appendHead(dst, r)
	if g.lost > 0 {
		dst = append(dst, `,"lost":`...)
		dst = strconv.AppendUint(dst, g.lost, 10)
	}
	dst = append(dst, `,"gap":{"from":`...)
	dst = strconv.AppendUint(dst, g.from, 10)
	dst = append(dst, `,"to":`...)
	dst = strconv.AppendUint(dst, g.to, 10)
	dst = append(dst, `,"down_ms":`...)
	dst = appendMillis(dst, g.down)
	dst = append(dst, `,"reason":`...)
	dst = appendText(dst, g.reason)
	if g.after != "" {
		dst = append(dst, `,"after":`...)
		dst = appendText(dst, g.after)
	}
	if g.final {
		dst = append(dst, `,"final":true`...)
	}
	return append(dst, '}', '}')
}

// appendState appends the payload of a state.
func appendState(dst []byte, r *Record, s *NodeState) []byte {
	dst = appendHead(dst, r)
	dst = append(dst, `,"state":`...)
	dst = appendText(dst, s.State)
	dst = append(dst, `,"session":`...)
	dst = strconv.AppendUint(dst, s.Epoch, 10)
	dst = append(dst, `,"since":`...)
	dst = appendTime(dst, s.Since)
	if s.Reason != "" {
		dst = append(dst, `,"reason":`...)
		dst = appendText(dst, s.Reason)
	}
	if s.Version != "" {
		dst = append(dst, `,"version":`...)
		dst = appendText(dst, s.Version)
	}
	return append(dst, '}')
}

// appendHead appends what all payloads begin with.
func appendHead(dst []byte, r *Record) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, r.Kind.String()...)
	dst = append(dst, `","id":`...)
	dst = appendID(dst, r)
	dst = append(dst, `,"node":`...)
	dst = appendText(dst, r.Node)
	dst = append(dst, `,"epoch":`...)
	dst = strconv.AppendUint(dst, r.Epoch, 10)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, r.Seq, 10)
	dst = append(dst, `,"time":`...)
	return appendTime(dst, r.Time)
}

// appendID appends the ID of r as a JSON text. Instances and keys of nodes have
// nothing in them that JSON escapes.
func appendID(dst []byte, r *Record) []byte {
	dst = append(dst, '"')
	dst = append(append(dst, r.Instance...), '/')
	dst = append(append(dst, r.Node...), '/')
	dst = append(strconv.AppendUint(dst, r.Epoch, 10), '/')
	return append(strconv.AppendUint(dst, r.Seq, 10), '"')
}

// An envelope wraps a payload; see Options.CloudEvents.
type envelope struct{ source string }

// open appends what stands before the payload, close what stands behind it.
func (v *envelope) open(dst []byte, r *Record) []byte {
	if v == nil {
		return dst
	}
	dst = append(dst, `{"specversion":"1.0","id":`...)
	dst = appendID(dst, r)
	dst = append(dst, `,"source":`...)
	dst = appendText(dst, v.source)
	dst = append(dst, `,"type":`...)
	if r.Kind == KindEvent {
		dst = appendText(dst, "ami.event."+r.Name)
	} else {
		dst = appendText(dst, "ami."+r.Kind.String())
	}
	dst = append(dst, `,"subject":`...)
	dst = appendText(dst, r.Node)
	dst = append(dst, `,"time":`...)
	dst = appendTime(dst, r.Time)
	dst = append(dst, `,"sequence":"`...)
	dst = strconv.AppendUint(dst, r.Seq, 10)
	return append(dst, `","datacontenttype":"application/json","data":`...)
}

func (v *envelope) close(dst []byte) []byte {
	if v == nil {
		return dst
	}
	return append(dst, '}')
}
