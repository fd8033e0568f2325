package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// An Out is one encoded action on its way to the socket. Exactly one of two
// things happens to it: the writer takes it, after which its bytes may have
// reached the peer, or somebody revokes it, after which no byte of it ever
// leaves. That is what makes "was it sent?" exact.
//
// The bytes must not change once the Out is enqueued. It prints and marshals without
// them: they may be a login.
type Out struct {
	Bytes []byte
	state atomic.Uint32
}

const (
	waiting uint32 = iota
	taken
	revoked
)

// String returns how many bytes there are.
func (o *Out) String() string { return fmt.Sprintf("action of %d bytes", len(o.Bytes)) }

// Format makes every verb print what String returns.
func (o *Out) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, o.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (o *Out) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Revoke takes the action back. It reports true if no byte of it has been or
// will be written, false if the writer was first.
func (o *Out) Revoke() bool {
	return o.state.CompareAndSwap(waiting, revoked) || o.state.Load() == revoked
}

// Taken reports whether the writer has taken the action. Before that nothing
// that the peer sends can be an answer to it.
func (o *Out) Taken() bool { return o.state.Load() == taken }

// Take is the writer's claim: true if the action is to be written.
func (o *Out) Take() bool { return o.state.CompareAndSwap(waiting, taken) }

// Enqueue queues the action and does not wait: without room it returns ErrFull.
// After the Conn has ended it may still succeed: the action is then never
// written, and whoever ended the session must fail it.
func (c *Conn) Enqueue(o *Out) error {
	n := int64(len(o.Bytes))
	for {
		queued := c.queued.Load()
		if queued+n > c.cfg.QueueBytes {
			return ErrFull
		}
		if c.queued.CompareAndSwap(queued, queued+n) {
			break
		}
	}
	select {
	case c.outbound <- o:
		return nil
	default:
		c.queued.Add(-n)
		return ErrFull
	}
}

// EnqueueWait is Enqueue that waits for room until ctx ends, and then returns
// its cause, or until the Conn ends, and then returns what ended it, or until
// given is closed, and then returns ErrGivenUp.
func (c *Conn) EnqueueWait(ctx context.Context, o *Out, given <-chan struct{}) error {
	for {
		if err := c.Enqueue(o); !errors.Is(err, ErrFull) {
			c.signalRoom() // there may be room for the next one who waits
			return err
		}
		select {
		case <-c.room:
		case <-given:
			return ErrGivenUp
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Conn) signalRoom() {
	select {
	case c.room <- struct{}{}:
	default: // somebody has been told already
	}
}
