package ami_test

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// exampleClient connects to a fake Asterisk. A program would give the address
// and the user of a real one.
func exampleClient(ctx context.Context, srv *amitest.Server) *ami.Client {
	c, err := ami.Dial(ctx, ami.Node{
		Key:      "pbx1",
		Addr:     srv.Addr(),
		Username: "admin",
		Secret:   ami.NewSecret("secret"),
	}, ami.WithDialer(srv.DialContext))
	if err != nil {
		panic(err)
	}
	return c
}

func ExampleClient_Send() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c := exampleClient(ctx, srv)
	defer func() { _ = c.Close() }() // always nil

	r, err := ami.Call(ctx, c, action.Ping{})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Ping)
	// Output: Pong
}

// The node is asked for the events that subscriptions name.
func ExampleWithEventsOnDemand() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c, err := ami.New(ami.Node{
		Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret"),
	}, ami.WithEventsOnDemand(), ami.WithDialer(srv.DialContext))
	if err != nil {
		panic(err)
	}
	hangups := ami.On[event.Hangup](c) // before Run: nothing is missed
	defer hangups.Close()
	var g errgroup.Group
	g.Go(func() error { return c.Run(ctx) })
	if err := c.Ready(ctx); err != nil {
		panic(err)
	}
	fmt.Println(c.Stats().EventMask)
	_ = c.Close() // always nil
	fmt.Println(g.Wait())
	// Output:
	// call,system
	// <nil>
}

func ExampleCall() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c := exampleClient(ctx, srv)
	defer func() { _ = c.Close() }() // always nil

	peers, err := ami.Call(ctx, c, action.IAXpeers{})
	if err != nil {
		panic(err)
	}
	for _, p := range peers {
		fmt.Println(p.ObjectName, p.Dynamic)
	}
	// Output:
	// iaxa true
	// iaxb false
}

func ExampleOn() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c := exampleClient(ctx, srv)
	defer func() { _ = c.Close() }() // always nil

	alarms := ami.On[event.UserEvent](c)
	if _, err := ami.Call(ctx, c, action.UserEvent{UserEvent: "Alarm", Headers: []frame.Field{{Key: "Floor", Value: "3"}}}); err != nil {
		panic(err)
	}
	for e, err := range alarms.All(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Node, e.UserEvent, e.Get("Floor"))
		break
	}
	// Output: pbx1 Alarm 3
}

func ExampleClient_List() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c := exampleClient(ctx, srv)
	defer func() { _ = c.Close() }() // always nil

	for peer, err := range c.List(ctx, action.IAXpeers{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(peer.Get("ObjectName"))
	}
	// Output:
	// iaxa
	// iaxb
}

func ExampleClient_Subscribe() {
	srv := amitest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	c := exampleClient(ctx, srv)
	defer func() { _ = c.Close() }() // always nil

	alarms := c.Subscribe(ami.Named("UserEvent"))
	_, err := c.Send(ctx, action.UserEvent{UserEvent: "Alarm"})
	if err != nil {
		panic(err)
	}
	for e, err := range alarms.All(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Node, e.Name(), e.Get("UserEvent"))
		break
	}
	// Output: pbx1 UserEvent Alarm
}

// callOnce places a call on the node whose turn it is and waits for its end.
func callOnce(ctx context.Context, nodes []ami.Node) error {
	cluster, err := ami.NewCluster(nodes)
	if err != nil {
		return err
	}
	hangups := ami.On[event.Hangup](cluster) // before Run: nothing is missed
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cluster.Run(ctx) })
	g.Go(func() error {
		defer cluster.Close() // ends Run
		if err := cluster.Ready(ctx, 0); err != nil {
			return err
		}
		call, err := ami.Call(ctx, cluster, action.Originate{Channel: "PJSIP/2001", Application: "Wait", Async: true})
		if err != nil {
			return err
		}
		for h, err := range hangups.All(ctx) {
			if err != nil {
				return err
			}
			if h.Channel.UniqueID == call.UniqueID {
				fmt.Println(h.Node, h.Channel.Name, "hung up:", h.Cause)
				return nil
			}
		}
		return nil
	})
	return g.Wait()
}

// exampleNodes are fake Asterisk servers, pbx1 first. A program would have a
// list of real ones.
func exampleNodes(n int, opts ...amitest.Option) (nodes []ami.Node, stop func()) {
	var servers []*amitest.Server
	for i := range n {
		srv := amitest.NewServer(append(opts, amitest.WithTCP())...)
		servers = append(servers, srv)
		nodes = append(nodes, ami.Node{
			Key:      fmt.Sprint("pbx", i+1),
			Addr:     srv.Addr(),
			Username: "admin",
			Secret:   ami.NewSecret("secret"),
		})
	}
	return nodes, func() {
		for _, srv := range servers {
			srv.Close()
		}
	}
}

// exampleCluster runs a cluster of fake servers until stop is called.
func exampleCluster(n int, opts ...ami.Option) (cluster *ami.Cluster, stop func()) {
	nodes, stopServers := exampleNodes(n)
	cluster, err := ami.NewCluster(nodes, opts...)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return cluster.Run(ctx) })
	if err := cluster.Ready(ctx, n); err != nil {
		panic(err)
	}
	return cluster, func() {
		cancel()
		_ = g.Wait() // Run was called once: nil
		stopServers()
	}
}

func ExampleCluster() {
	nodes, stop := exampleNodes(3, amitest.WithDial(func(string) amitest.Dial {
		return amitest.Dial{Reason: amitest.ReasonAnswered, Talk: 10 * time.Millisecond}
	}))
	defer stop()
	if err := callOnce(context.Background(), nodes); err != nil {
		panic(err)
	}
	// Output: pbx1 PJSIP/2001-00000001 hung up: Normal Clearing
}

func ExampleCluster_Broadcast() {
	cluster, stop := exampleCluster(3)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for node, r := range cluster.Broadcast(ctx, action.Ping{}, ami.Among("pbx1", "pbx3", "pbx9")) {
		if r.Err != nil {
			fmt.Println(node, r.Err)
			continue
		}
		fmt.Println(node, r.Response.Get("Ping"))
	}
	// Unordered output:
	// pbx1 Pong
	// pbx3 Pong
	// pbx9 ami: Ping: no node pbx9 in the cluster
}

func ExampleCluster_List() {
	cluster, stop := exampleCluster(2)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for item, err := range cluster.List(ctx, action.IAXpeers{}) {
		if err != nil {
			fmt.Println(item.Node, "failed:", err) // the others go on
			continue
		}
		fmt.Println(item.Node, item.Frame.Get("ObjectName"))
	}
	// Unordered output:
	// pbx1 iaxa
	// pbx1 iaxb
	// pbx2 iaxa
	// pbx2 iaxb
}

func ExampleFailover() {
	cluster, stop := exampleCluster(3, ami.WithRouter(ami.Failover("pbx2", "pbx1")))
	defer stop()
	ctx := context.Background()

	for range 2 {
		r, err := cluster.Send(ctx, action.Ping{})
		if err != nil {
			panic(err)
		}
		fmt.Println(r.Node)
		if err := cluster.Remove(ctx, "pbx2"); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// pbx2
	// pbx1
	// ami: no node pbx2 in the cluster
}

func ExampleByKey() {
	cluster, stop := exampleCluster(3)
	defer stop()
	ctx := context.Background()

	homes := map[string]bool{}
	for range 5 { // one node, whatever the router would choose
		r, err := cluster.Send(ctx, action.Ping{}, ami.ByKey("customer 4711"))
		if err != nil {
			panic(err)
		}
		homes[r.Node] = true
	}
	fmt.Println(len(homes))
	// Output: 1
}
