package ami

import (
	"context"
	"iter"
	"sync"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
)

// A Result is the answer of one node to a broadcast: one of the two is nil.
type Result struct {
	Response *Response
	Err      error
}

// An Item is one item of a list that a node has sent.
type Item struct {
	Node  string
	Frame *frame.Frame // nil if the node's list ended with an error
}

// Broadcast sends an action to all nodes, or to those that Among names, at the
// same time, and yields the result of each as it is there, with its key. A node
// that is not ready yields its error at once; one that does not exist yields a
// *NoNodeError. All share ctx. Leaving the loop early abandons the answers that
// are still to come, and the actions that have not been written yet.
func (cl *Cluster) Broadcast(ctx context.Context, a action.Action, opts ...SendOption) iter.Seq2[string, Result] {
	return func(yield func(string, Result) bool) {
		type answer struct {
			node string
			Result
		}
		for got := range gather(ctx, cl, opts, func(ctx context.Context, node string, c *Client, put func(answer) bool) {
			got := answer{node: node}
			if c == nil {
				got.Err = cl.noNode(node, a.Name())
			} else {
				got.Response, got.Err = c.Send(ctx, a, opts...)
			}
			put(got)
		}) {
			if !yield(got.node, got.Result) {
				return
			}
		}
	}
}

// List sends an action that is answered by a list to all nodes, or to those
// that Among names, at the same time, and yields the items as they come, each
// with its node. A node whose list fails yields an error, a nil frame with it,
// behind the items that came; the others go on. All share ctx. Leaving the loop
// early abandons the rest.
func (cl *Cluster) List(ctx context.Context, a action.Action, opts ...SendOption) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		type part struct {
			Item
			err error
		}
		for got := range gather(ctx, cl, opts, func(ctx context.Context, node string, c *Client, put func(part) bool) {
			if c == nil {
				put(part{Item{Node: node}, cl.noNode(node, a.Name())})
				return
			}
			for f, err := range c.List(ctx, a, opts...) {
				if !put(part{Item{node, f}, err}) {
					return
				}
			}
		}) {
			if !yield(got.Item, got.err) {
				return
			}
		}
	}
}

// gather runs ask for every node that takes part, each on a goroutine of its
// own, and yields what they put. c is nil for a node that does not exist. It
// returns when all have ended: leaving early ends the context that they get,
// and put returns false from then on. A panic in ask, which is one of the action's
// own code, ends the others and goes on here, where the caller can see it.
func gather[T any](ctx context.Context, cl *Cluster, opts []SendOption,
	ask func(ctx context.Context, node string, c *Client, put func(T) bool),
) iter.Seq[T] {
	return func(yield func(T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		left := make(chan struct{}) // closed when nobody takes any more
		got := make(chan T)         // closed when all have ended
		var asking sync.WaitGroup
		put := func(t T) bool {
			select {
			case got <- t:
				return true
			case <-left:
				return false
			}
		}
		broken := make(chan any, 1)
		for node, c := range cl.participants(opts) {
			asking.Go(func() {
				defer func() {
					if v := recover(); v != nil {
						select {
						case broken <- v:
						default: // one is enough
						}
						cancel()
					}
				}()
				ask(ctx, node, c, put)
			})
		}
		var closing sync.WaitGroup
		closing.Go(func() {
			asking.Wait()
			close(got)
		})
		defer func() {
			closing.Wait()
			select {
			case v := <-broken:
				panic(v)
			default:
			}
		}()
		defer cancel()
		defer close(left)
		for t := range got {
			if len(broken) > 0 || !yield(t) {
				return
			}
		}
	}
}

// participants yields the nodes that Among names, or all.
func (cl *Cluster) participants(opts []SendOption) iter.Seq2[string, *Client] {
	cfg := newSendConfig(opts)
	if cfg.named {
		cfg.among, cfg.limited = append(cfg.among, cfg.to), true
	}
	if !cfg.limited {
		return cl.Nodes()
	}
	byKey := cl.members.Load().byKey
	return func(yield func(string, *Client) bool) {
		seen := make(map[string]bool, len(cfg.among))
		for _, key := range cfg.among {
			if seen[key] {
				continue
			}
			seen[key] = true
			if !yield(key, byKey[key]) {
				return
			}
		}
	}
}
