package bridge

import (
	"context"
	"errors"
	"time"
)

// A Broker stores records. One goroutine of the bridge publishes; the others may
// be called beside it.
type Broker interface {
	// Publish stores records in their order. It returns how many of them, counted
	// from the first, the broker has confirmed. If that are not all, err says why;
	// the bridge tries the rest again later, so a record whose confirmation got
	// lost comes twice: the broker, or the consumer, knows it by its ID. None
	// behind one that was not stored may be stored by the same call.
	//
	// An error that is a *RefusedError concerns the first record that was not
	// stored: it will never be, and the bridge goes on behind it. Any other means
	// that the broker is away; the bridge waits.
	Publish(ctx context.Context, records []Record) (stored int, err error)

	// Close ends the connections. Nothing is published any more.
	Close() error
}

// ErrFenced is the cause of a *RefusedError if another process holds the node.
var ErrFenced = errors.New("bridge: another process holds the node")

// A RefusedError reports a record that the broker will never take.
type RefusedError struct {
	ID   string // of the record
	Node string
	Err  error // ErrFenced, or what the broker said
}

func (e *RefusedError) Error() string { return "bridge: " + e.ID + " refused: " + e.Err.Error() }

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

// A NodeState is the latest state of a node, as a StateStore keeps it.
type NodeState struct {
	Node     string    `json:"node"`
	Instance string    `json:"instance"` // see Record
	State    string    `json:"state"`    // "ready", "disconnected", …
	Epoch    uint64    `json:"epoch"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason,omitempty"` // of the fall back to disconnected
	Version  string    `json:"version,omitempty"`
}

// A StateStore is a Broker that keeps the latest state of each node for readers
// that come later.
type StateStore interface {
	PutState(ctx context.Context, s NodeState) error
}

// A Request asks for an action.
type Request struct {
	Node string // "": any
	Data []byte // JSON as the requester sent it
}

// A Requester is a Broker over which others ask for actions.
type Requester interface {
	// Serve subscribes to requests for the nodes, and to those for any node, until
	// ctx ends, and calls handle for each on a goroutine of its own, with a
	// context that ends at the requester's deadline, not with ctx: Serve returns
	// when those that are handled are answered. What handle returns is the
	// answer. It bounds how many are handled at a time. nodes may be called again
	// and again: it tells which are served now.
	Serve(ctx context.Context, nodes func() []string, handle func(context.Context, Request) []byte) error
}

// A Takeover is what a new holder of a node tells.
type Takeover struct {
	Node     string
	Instance string
	Time     time.Time
}

// A Fencer is a Broker that lets one process alone publish for a node.
type Fencer interface {
	// Fence publishes the takeover, a record of KindTakeover, with the length of
	// the gap since the last record of the node, and returns its token: from then
	// on records of the node with any other token are refused with ErrFenced.
	Fence(ctx context.Context, t Takeover) (token uint64, err error)
}
