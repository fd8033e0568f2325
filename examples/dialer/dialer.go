package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// A dialer places calls and keeps what it knows of them.
type dialer struct {
	cluster *ami.Cluster
	what    action.Originate
	prefix  string // of the unique ids of our channels, of this run alone
	longest time.Duration
	events  *ami.Subscription

	mu    sync.Mutex
	calls map[string]*call // by unique id, until they are over
	ends  map[string]int   // how calls ended, and how many
	out   io.Writer
}

// A call is guarded by the dialer's mutex; over has room for what follow says.
type call struct {
	id      string // unique id of the channel: ours to choose
	node    string // where it is; "" until that is known
	channel string // its name; "" until that is known
	over    chan string
}

func newDialer(cluster *ami.Cluster, what action.Originate, longest time.Duration, out io.Writer) *dialer {
	d := &dialer{
		cluster: cluster, what: what, longest: longest, out: out,
		prefix: fmt.Sprintf("dialer-%d-", time.Now().UnixNano()),
		calls:  map[string]*call{}, ends: map[string]int{},
	}
	// Only Newchannel, Hangup and gaps come here, whatever else the nodes do.
	d.events = cluster.Subscribe(ami.Named("Newchannel", "Hangup"))
	return d
}

// one is the life of one call, until ctx ends at the latest.
func (d *dialer) one(ctx context.Context, n int) {
	c := &call{id: d.prefix + fmt.Sprint(n), over: make(chan string, 1)}
	// Known before it is placed: its events may be faster than the answer.
	d.mu.Lock()
	d.calls[c.id] = c
	d.mu.Unlock()
	end := d.place(ctx, c)
	if end == "" {
		end = d.await(ctx, c)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.calls, c.id)
	d.ends[end]++
	if c.node != "" {
		fmt.Fprintf(d.out, "call %d on %s: %s\n", n, c.node, end)
	}
}

// rest waits a moment after a call could not be placed.
func rest(ctx context.Context) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
	}
}

// place originates the call on the node whose turn it is. It returns how the
// call ended, "" if it lives.
func (d *dialer) place(ctx context.Context, c *call) (end string) {
	what := d.what
	what.ChannelID = c.id
	for {
		r, err := ami.Call(ctx, d.cluster, what)
		if err == nil {
			d.at(c.id, r.Node, r.Channel)
			if r.Answered() {
				return ""
			}
			return r.Reason.String()
		}
		switch {
		case ctx.Err() != nil && ami.SafeToRetry(err):
			return "not placed"
		case ami.SafeToRetry(err) && !wrong(err):
			// Nothing was sent: no node is ready, or the line died before. To
			// try again cannot make two calls of it.
			rest(ctx)
			continue
		}
		node := nodeOf(err)
		if node == "" {
			rest(ctx) // the next call may fare alike: no tight loop
			return failure(err)
		}
		// It was sent, and nobody knows whether it was executed. To try again
		// might call twice. The unique id is ours: the node can be asked.
		d.at(c.id, node, "")
		if ctx.Err() == nil {
			d.check(ctx, node)
		}
		return ""
	}
}

// wrong reports whether the action itself is at fault: to send it again is safe,
// since it was never sent, and of no use.
func wrong(err error) bool {
	_, param := errors.AsType[*action.InvalidError](err)
	_, header := errors.AsType[*frame.EncodeError](err)
	_, config := errors.AsType[*ami.ConfigError](err)
	return param || header || config
}

// failure says why a call was certainly not placed: Asterisk refused it, or it
// is no valid action.
func failure(err error) string {
	if e, ok := errors.AsType[*ami.ActionError](err); ok {
		return "refused: " + e.Message // without node and ActionID, to be counted
	}
	return "failed: " + err.Error()
}

// nodeOf returns the node on which an action may have been executed although it
// failed, "" if it was not.
func nodeOf(err error) string {
	if e, ok := errors.AsType[*ami.ConnError](err); ok {
		return e.Node
	}
	if e, ok := errors.AsType[*ami.TimeoutError](err); ok {
		return e.Node
	}
	if e, ok := errors.AsType[*ami.MissingResponseError](err); ok {
		return e.Node
	}
	if e, ok := errors.AsType[*ami.ProtocolError](err); ok {
		return e.Node
	}
	return ""
}

// await waits for the end of a call that lives. When the run is over, or the
// call takes too long, it is hung up.
func (d *dialer) await(ctx context.Context, c *call) (end string) {
	timer := time.NewTimer(d.longest)
	defer timer.Stop()
	select {
	case end = <-c.over:
		return end
	case <-timer.C:
	case <-ctx.Done():
	}
	d.mu.Lock()
	node, channel := c.node, c.channel
	d.mu.Unlock()
	if channel == "" {
		channel = c.id
	}
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	// To, not ByKey: the channel is on this node and no other, ready or not.
	if _, err := d.cluster.Send(patient, action.Hangup{Channel: channel}, ami.To(node)); err != nil {
		select {
		case end = <-c.over: // it was faster
			return end
		default:
			return "not hung up: " + err.Error()
		}
	}
	select {
	case <-c.over:
		return "hung up by us"
	case <-patient.Done():
		return "hung up by us, no event came"
	}
}

// follow reads the events until the cluster ends.
func (d *dialer) follow(ctx context.Context) error {
	var checks sync.WaitGroup // a question must not hold up the events
	defer checks.Wait()
	for e, err := range d.events.All(ctx) {
		if err != nil {
			return err
		}
		if e.Lost > 0 { // of any node: the subscription is to all
			for key := range d.cluster.Nodes() {
				checks.Go(func() { d.check(ctx, key) })
			}
		}
		if gap, ok := e.Gap(); ok {
			if gap.Final() { // removed from the cluster: nobody is left to ask
				d.lose(d.on(e.Node), nil)
			} else {
				checks.Go(func() { d.check(ctx, e.Node) })
			}
			continue
		}
		switch e := event.Decode(e).(type) {
		case *event.Newchannel:
			d.at(e.Channel.UniqueID, e.Node, e.Channel.Name)
		case *event.Hangup:
			d.over(e.Channel.UniqueID, "hangup: "+e.Cause.String())
		}
	}
	return nil
}

// check asks a node which channels it has, after events of it were lost, and
// ends the calls of which there is none.
func (d *dialer) check(ctx context.Context, key string) {
	node, ok := d.cluster.Node(key)
	if !ok || node.Ready(ctx) != nil {
		return // it was removed, which is told as a gap; or the run is over
	}
	mine := d.on(key) // before the question: later calls are not missing
	alive := map[string]bool{}
	channels, err := ami.Call(ctx, node, action.Status{})
	if err != nil {
		return // after the next gap it is asked again; -longest is the last resort
	}
	for _, s := range channels {
		alive[s.Channel.UniqueID] = true
	}
	d.lose(mine, alive)
}

// lose ends calls that are not alive and whose end nobody saw.
func (d *dialer) lose(ids []string, alive map[string]bool) {
	for _, id := range ids {
		if !alive[id] {
			d.over(id, "ended out of sight")
		}
	}
}

// at notes where a call is.
func (d *dialer) at(id, node, channel string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.calls[id]; c != nil {
		c.node = node
		if channel != "" {
			c.channel = channel
		}
	}
}

// on returns the calls on a node.
func (d *dialer) on(node string) (ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, c := range d.calls {
		if c.node == node {
			ids = append(ids, id)
		}
	}
	return ids
}

// over ends a call. The first word counts.
func (d *dialer) over(id, how string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.calls[id]; c != nil {
		select {
		case c.over <- how:
		default:
		}
	}
}

func (d *dialer) report() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, how := range slices.Sorted(maps.Keys(d.ends)) {
		fmt.Fprintf(d.out, "%5d %s\n", d.ends[how], how)
	}
}
