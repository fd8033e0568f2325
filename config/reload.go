package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/setting"
)

// A Reloader brings changes of a configuration into a running cluster: nodes that
// came, went or changed, without a touch of the others. It may be used from any
// goroutine; one Apply waits for another.
type Reloader struct {
	cluster *ami.Cluster
	started *Config // whose options the cluster has

	mu      sync.Mutex
	running map[string]node // by key
}

// NewReloader returns a Reloader for a cluster that was made of the nodes and
// options of c. Nodes that the program has added itself are left alone.
func NewReloader(cluster *ami.Cluster, c *Config) *Reloader {
	r := &Reloader{cluster: cluster, started: c, running: make(map[string]node)}
	for _, n := range c.nodes {
		r.running[n.key] = r.asStarted(n)
	}
	return r
}

// asStarted gives a node the event mask that it has in the cluster as it was
// started: whether subscriptions make the mask is settled there. If they are to
// from the next start on, the node has no mask of its own any more, and keeps the
// one that it has.
func (r *Reloader) asStarted(n node) node {
	if n.events = cmp.Or(n.events, r.running[n.key].events, "on"); r.started.num(setting.EventsOnDemand) == 1 {
		n.events = ""
	}
	return n
}

// Changes are the keys of nodes that Apply has added, removed, replaced, and left
// alone, in the order of the file; Removed in alphabetical order. Those of which
// an error tells are among them.
type Changes struct {
	Added, Removed, Replaced, Kept []string
}

// A RestartError reports settings of a new configuration that a running cluster
// cannot take: they hold from the next start on. All else was applied.
type RestartError struct {
	Paths []string // as "keepalive.interval"
}

func (e *RestartError) Error() string {
	return "config: needs a restart: " + strings.Join(e.Paths, ", ")
}

// A NodeError reports a node that could not be added, or not removed in order.
type NodeError struct {
	Node string
	Err  error
}

func (e *NodeError) Error() string { return fmt.Sprintf("config: node %s: %v", e.Node, e.Err) }

// Unwrap returns Err.
func (e *NodeError) Unwrap() error { return e.Err }

// Apply makes the nodes of the cluster those of next. A node that is gone takes no
// more actions; it is removed when its pending actions have their answers, or ctx
// ends: give it a deadline. A node of which anything but its weight is new is
// replaced in the same way: removed, then added. All others keep their sessions.
// A secret or certificate that is new in the same file is no change: the next
// login reads it.
//
// The options are those of the start. If next has others, the nodes are brought
// up to date all the same, and the error is a *RestartError with the paths, again
// at each Apply until the program starts anew. It comes joined with a *NodeError
// for each node that could not be added, or whose answers the end of ctx cut
// short; the latter is removed or replaced nevertheless. A node that the options
// of the start refuse, such as a host name with literal_addresses, is not added,
// and the one that it should have replaced stays. So does the default_node of the
// start if next has it no more: until the restart, which the *RestartError asks
// for, actions without an address have no other.
func (r *Reloader) Apply(ctx context.Context, next *Config) (Changes, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var changes Changes
	var steps []step
	wanted := make(map[string]bool)
	for _, n := range next.nodes {
		n = r.asStarted(n)
		wanted[n.key] = true
		old, here := r.running[n.key]
		_, member := r.cluster.Node(n.key)
		switch {
		case !here || !member: // the program has removed it since
			changes.Added = append(changes.Added, n.key)
			steps = append(steps, step{key: n.key, new: &n})
		case !old.same(n):
			changes.Replaced = append(changes.Replaced, n.key)
			steps = append(steps, step{key: n.key, old: &old, new: &n})
		default:
			changes.Kept = append(changes.Kept, n.key)
		}
	}
	for key, old := range r.running {
		switch {
		case wanted[key]:
		case key == r.started.home(): // actions without an address have no other
			changes.Kept = append(changes.Kept, key)
		default:
			changes.Removed = append(changes.Removed, key)
			steps = append(steps, step{key: key, old: &old})
		}
	}
	slices.Sort(changes.Removed)
	err := r.do(ctx, steps)
	if paths := r.started.differing(next); len(paths) > 0 {
		err = errors.Join(err, &RestartError{Paths: paths})
	}
	return changes, err
}

// A step is what is to be done about one node.
type step struct {
	key      string
	old, new *node // nil: there was none, there will be none
}

// do takes all steps at the same time: each may wait for the answers of its node.
func (r *Reloader) do(ctx context.Context, steps []step) error {
	errs := make([]error, len(steps))
	running := make([]*node, len(steps))
	var all sync.WaitGroup
	for i, s := range steps {
		all.Go(func() {
			var err error
			if running[i], err = r.take(ctx, s); err != nil {
				errs[i] = &NodeError{Node: s.key, Err: err}
			}
		})
	}
	all.Wait()
	for i, s := range steps {
		if delete(r.running, s.key); running[i] != nil {
			r.running[s.key] = *running[i]
		}
	}
	return errors.Join(errs...)
}

// take takes one step and returns what runs then, nil if nothing does.
func (r *Reloader) take(ctx context.Context, s step) (running *node, err error) {
	var next ami.Node
	if s.new != nil {
		next = s.new.client()
		// A node must not be removed for one that the options of the start refuse.
		if err := ami.Check([]ami.Node{next}, r.started.options...); err != nil {
			return s.old, err
		}
	}
	if s.old != nil {
		if err = r.cluster.Remove(ctx, s.key); errors.Is(err, ami.ErrNoNode) {
			err = nil // the program has removed it
		}
	}
	if s.new == nil {
		return nil, err
	}
	if refused := r.cluster.Add(next); refused != nil {
		return nil, errors.Join(err, refused)
	}
	return s.new, err
}

// differing returns the paths of the options that next has another value for.
func (c *Config) differing(next *Config) (paths []string) {
	for i, f := range optionFields {
		id := setting.ID(i)
		texts := c.values[f.Path].text == next.values[f.Path].text && slices.Equal(c.list(id), next.list(id))
		if !texts || c.effective(id) != next.effective(id) {
			paths = append(paths, f.Path)
		}
	}
	weights := c.weights()
	for i, n := range next.nodes {
		if n.weight != max(weights[n.key], 1) {
			paths = append(paths, fmt.Sprintf("nodes[%d].weight", i))
		}
	}
	return paths
}
