package ami

import (
	"context"
	"iter"

	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
)

// A Sender sends actions: a *Client, a *Cluster, or what a test puts in their
// place.
type Sender interface {
	Send(ctx context.Context, a action.Action, opts ...SendOption) (*Response, error)
}

// Call sends an action and returns its answer in the type that belongs to it:
//
//	channels, err := ami.Call(ctx, client, action.CoreShowChannels{}) // []event.CoreShowChannel
//
// The errors are those of Send. A list without items is empty and no error,
// however Asterisk says so. If AnsweredAs allows an answer to be Partial, results
// that are structs tell in their Answer whether it is; for others use Send. That a call of an Originate did not come about is no
// error either: its result says why.
func Call[R any](ctx context.Context, s Sender, a action.Typed[R], opts ...SendOption) (R, error) {
	r, err := s.Send(ctx, a, opts...)
	if err != nil {
		var none R
		return none, err
	}
	return Decode(a, r), nil
}

// Decode returns the answer to a in the type that belongs to it, for answers
// that did not come by Call: of Broadcast, say, or of a Pending. Without an answer,
// because there was an error, there is nothing to decode: r must not be nil.
func Decode[R any](a action.Typed[R], r *Response) R {
	return a.Decode(action.Answer{Node: r.Node, Response: r.Frame, Items: r.Items, End: r.End, Partial: r.Partial})
}

// A Source has subscriptions: a *Client or a *Cluster.
type Source interface {
	Subscribe(opts ...SubOption) *Subscription
}

// On subscribes to one kind of event and delivers it decoded:
//
//	hangups := ami.On[event.Hangup](client)
//	for h, err := range hangups.All(ctx) { … h.Channel.Name, h.Cause …
//
// The options are those of Subscribe; the name of the event is given by its
// type, whatever Named says.
func On[T any, P event.Typed[T]](src Source, opts ...SubOption) *TypedSubscription[T] {
	// No other name: of an event that is none of T's, All could not tell Lost.
	only := func(c *subConfig) { c.names = []string{P(nil).EventName()} }
	opts = append(opts[:len(opts):len(opts)], only)
	return &TypedSubscription[T]{sub: src.Subscribe(opts...), decode: func(e event.Event) (*T, bool) {
		if _, gap := e.Gap(); gap || e.Name() == "" { // nothing to decode but the event itself
			t := P(new(T))
			t.DecodeEvent(e)
			return t, true
		}
		return event.As[T, P](e)
	}}
}

// A TypedSubscription is a Subscription to one kind of event. All methods may be
// called from any goroutine.
type TypedSubscription[T any] struct {
	sub    *Subscription
	decode func(event.Event) (*T, bool)
}

// All yields the events as Subscription.All does. A gap comes as a T whose Gap
// method says so and whose other fields are zero. With an error, which is the
// last that is yielded, comes a T without anything; it is never nil.
func (s *TypedSubscription[T]) All(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for e, err := range s.sub.All(ctx) {
			if t, ok := s.decode(e); ok && !yield(t, err) {
				return
			}
		}
	}
}

// Dropped returns how many events the subscription has lost; see
// Subscription.Dropped.
func (s *TypedSubscription[T]) Dropped() uint64 { return s.sub.Dropped() }

// Close ends the subscription; see Subscription.Close.
func (s *TypedSubscription[T]) Close() { s.sub.Close() }
