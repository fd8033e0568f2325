// Package ami is a client for Asterisk servers through the Asterisk Manager
// Interface (AMI): it keeps a connection, sends actions and returns their
// answers, and delivers every event.
//
//	c, err := ami.Dial(ctx, ami.Node{
//		Key: "pbx1", Addr: "pbx1.example.com:5038",
//		Username: "app", Secret: ami.NewSecret(os.Getenv("AMI_SECRET")),
//	})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	queues, err := ami.Call(ctx, c, action.QueueStatus{})
//
// # Typed and generic
//
// Every action of Asterisk 18 to 23 is a struct of package action, every event
// one of package event. Call sends an action and returns its answer as what it
// is; On delivers one kind of event decoded. Below them are Send and Subscribe,
// which deal in frames: for actions by name (action.New, action.Custom), and for events of which
// this library does not know. A typed event holds the one as received.
//
// # Life of a client
//
// New checks its arguments and does nothing else. Run keeps the node connected
// until its context ends: it logs in, sends keepalives, and after a failure
// waits and tries again. It returns nil at a clean end, so that it fits an
// errgroup. Dial is New and Run in one, for programs that want an error if the
// server is not there. Shutdown waits for pending answers and logs off, Close
// does not wait; both return when every goroutine of the client has ended.
//
// # Many nodes
//
// A Cluster holds many clients, by key, and has the same life: NewCluster, Run,
// Ready, Shutdown, Close. Cluster.Send chooses among the nodes that are ready:
// in turn, or as the Router of WithRouter says, by a key's hash with ByKey, or
// the one that To names. That one is never replaced by another: if it is down,
// that is the error. Cluster.Broadcast and Cluster.List ask all nodes, or those
// of Among, at the same time. Cluster.Subscribe delivers the events of all nodes,
// in order for each node, not across nodes.
//
// Nodes come and go with Cluster.Add and Cluster.Remove. A node that is removed
// finishes its pending actions first; the last that a subscription hears of it
// is a Gap that is Final. One node may be used alone as well: Cluster.Node
// returns its Client.
//
// # Actions beside a flood
//
// Asterisk answers the actions of a session behind the events that it has queued
// there, and none at all while it runs a synchronous Originate or a WaitEvent.
// WithActionLanes gives each node more sessions, for actions alone: with one they
// wait for no events, with two or more not for such actions either. Without it a
// node has one session for all.
//
// # Less to receive
//
// Asterisk sends every event to whoever logs in, whether anybody looks at it or
// not. WithEventsOnDemand has it send what the subscriptions are named for, by
// event mask and filter, and asks for more when one is made that wants more.
// Without that option all events come.
//
// # Concurrency properties
//
// All methods of Client, Cluster, Subscription and Pending may be called from
// any goroutine. Reading from Asterisk waits for nobody: not for writing, not
// for a subscriber, not for a log handler. Answers take another way than events,
// so that no slow subscriber delays or drops one.
//
// # Expected subscriber behaviour
//
// A subscription has a buffer. A subscriber that does not keep up loses events,
// by default the oldest; Event.Lost of the next one tells how many, and
// Subscription.Dropped the total. A subscription survives reconnects. Between
// the events of two sessions comes one that is a Gap: Asterisk may have sent
// others meanwhile, so what was derived from events should be read afresh.
//
// The buffer of a subscription to many nodes is one for all of them: if the
// subscriber does not keep up with a node in flood, events of a quiet one are
// lost as well. Where that matters, make a subscription for each node, or one
// for the busy ones.
//
// # Errors
//
// Errors are types to branch on; see Client.Send for the list. The question
// after a failure is whether the action may have been executed: SafeToRetry
// answers it exactly, because an action is either taken by the writer or
// revoked, never both.
package ami
