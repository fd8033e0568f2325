package ami

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apn/ami/action"
)

// A Router chooses the node for an action that names none. Cluster.Send calls
// it, from many goroutines.
type Router interface {
	// Route returns one of ready, or nil if none of them will do. ready holds
	// the nodes that take actions now, one at least, in the order in which they
	// came into the cluster. It must not be changed nor kept.
	Route(a action.Action, ready []*Client) *Client
}

// RoundRobin returns a Router that takes the nodes in turn.
func RoundRobin() Router { return new(roundRobin) }

type roundRobin struct{ turn atomic.Uint64 }

func (r *roundRobin) Route(_ action.Action, ready []*Client) *Client {
	return ready[(r.turn.Add(1)-1)%uint64(len(ready))]
}

// Failover returns a Router that takes the first of the nodes with these keys
// that is ready, in the given order, and no other.
func Failover(keys ...string) Router { return failover(slices.Clone(keys)) }

type failover []string

func (r failover) Route(_ action.Action, ready []*Client) *Client {
	for _, key := range r {
		for _, c := range ready {
			if c.node.Key == key {
				return c
			}
		}
	}
	return nil
}

// defaultNode is the key of the one node that will do.
type defaultNode string

func (r defaultNode) Route(a action.Action, ready []*Client) *Client {
	return failover{string(r)}.Route(a, ready)
}

// byKey returns the node of a key: the one with the highest hash of node and
// key together. When a node comes or goes, only the keys move that come to it
// or came from it; all others stay (rendezvous hashing).
func byKey(key string, ready []*Client) *Client {
	var chosen *Client
	var highest uint64
	h := hash(key)
	for _, c := range ready {
		if weight := mix(h ^ hash(c.node.Key)); chosen == nil || weight > highest {
			chosen, highest = c, weight
		}
	}
	return chosen
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// mix spreads the bits, so that nearby hashes do not order nodes alike (the
// finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// To sends the action to the node with this key and no other: if it is not
// ready, that is the error. For Cluster.Send.
func To(key string) SendOption {
	return func(c *sendConfig) { c.to, c.named = key, true }
}

// ByKey sends actions with the same key to the same node as long as it is ready,
// and to another one, again the same for all, while it is not. When other nodes
// come or go the key stays where it is, unless a new node takes it over. For
// Cluster.Send.
func ByKey(key string) SendOption {
	return func(c *sendConfig) { c.byKey, c.hashed = key, true }
}

// Among lets only these nodes take part; without keys, none. For Cluster.Send, Cluster.Broadcast
// and Cluster.List.
func Among(keys ...string) SendOption {
	return func(c *sendConfig) { c.among, c.limited = append(c.among, keys...), true }
}

// Send sends an action to one node and returns its whole answer, as Client.Send
// does. The node is the one that To names, that of the hash with ByKey, or
// chosen by the cluster's router, always among the nodes that are ready. It
// returns a *NoNodeError if there is none, and a *NotReadyError if the node
// that To names is not ready. If the node that was chosen turns out to be not
// ready, another one is: nothing was sent to it.
func (cl *Cluster) Send(ctx context.Context, a action.Action, opts ...SendOption) (*Response, error) {
	cfg := newSendConfig(opts)
	if cfg.named {
		c, ok := cl.Node(cfg.to)
		if !ok || !cfg.includes(cfg.to) {
			return nil, cl.noNode(cfg.to, a.Name())
		}
		return c.Send(ctx, a, opts...)
	}
	for {
		c, err := cl.route(a, &cfg)
		if err != nil {
			return nil, err
		}
		r, err := c.Send(ctx, a, opts...)
		// The outermost error alone tells: the cause of a context, say, may be
		// another action's NotReadyError, and this one may have been sent.
		if _, left := err.(*NotReadyError); !left { //nolint:errorlint // see above
			return r, err
		}
	}
}

// readyNodes are reused by route: a slice for each action would cost more than
// the choice.
var readyNodes = sync.Pool{New: func() any { return new([]*Client) }}

// route chooses a node for an action that names none.
func (cl *Cluster) route(a action.Action, cfg *sendConfig) (*Client, error) {
	buf := readyNodes.Get().(*[]*Client)
	defer func() {
		clear(*buf) // a node that was removed must not be pinned
		readyNodes.Put(buf)
	}()
	list := cl.members.Load().list
	ready, nodes := (*buf)[:0], 0
	for _, c := range list {
		if !cfg.includes(c.node.Key) {
			continue
		}
		if nodes++; c.takesActions() {
			ready = append(ready, c)
		}
	}
	*buf = ready
	e := &NoNodeError{Action: a.Name(), Ready: len(ready), Want: 1, Nodes: nodes}
	if len(ready) == 0 {
		return nil, e
	}
	var c *Client
	if cfg.hashed {
		c = byKey(cfg.byKey, ready)
	} else {
		c = cl.cfg.fleet.router.Route(a, ready)
	}
	if c == nil || !slices.Contains(ready, c) {
		e.Err = errNotChosen
		return nil, e
	}
	return c, nil
}

// includes reports whether a node may take part.
func (cfg *sendConfig) includes(key string) bool {
	return !cfg.limited || slices.Contains(cfg.among, key)
}
