package bridge

import (
	"strconv"
	"strings"
	"time"
)

// A Kind tells what a Record is about.
type Kind uint8

// The kinds.
const (
	KindEvent    Kind = iota + 1 // an event of Asterisk
	KindGap                      // events may be missing here
	KindState                    // the node's connection changed its state
	KindTakeover                 // another process holds the node from here on; a gap as well
)

// String returns the kind as it stands in headers and payloads: "event", "gap",
// "state", "takeover".
func (k Kind) String() string {
	switch k {
	case KindEvent:
		return "event"
	case KindGap:
		return "gap"
	case KindState:
		return "state"
	case KindTakeover:
		return "takeover"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// A Record is one message for the broker. Records of a node are published in the
// order of their Seq, within an Instance.
type Record struct {
	// Instance names one process's hold of the node: a new one for each start and
	// each takeover. Epoch and Seq count within it.
	Instance string
	Node     string
	Epoch    uint64 // of the node's session, from 1
	Seq      uint64 // of all that the node's records, from 1
	Kind     Kind
	Name     string    // the event's name; for others "Gap", "State", "Takeover"
	Time     time.Time // when the bytes were read from the node's socket
	Token    uint64    // proves the hold of the node to the broker; 0 without leases
	Payload  []byte    // JSON
}

// ID identifies the record for ever: a broker that has seen it takes it for a
// duplicate, and so may every consumer.
func (r *Record) ID() string {
	var b strings.Builder
	b.Grow(len(r.Instance) + len(r.Node) + 24)
	b.WriteString(r.Instance)
	b.WriteByte('/')
	b.WriteString(r.Node)
	b.WriteByte('/')
	b.WriteString(strconv.FormatUint(r.Epoch, 10))
	b.WriteByte('/')
	b.WriteString(strconv.FormatUint(r.Seq, 10))
	return b.String()
}
