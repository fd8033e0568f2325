package ami_test

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
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

	r, err := c.Send(ctx, action.Ping{})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Get("Ping"))
	// Output: Pong
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

// callAll places one call on each node and waits until all are hung up.
func callAll(ctx context.Context, nodes []ami.Node) error {
	cluster, err := ami.NewCluster(nodes)
	if err != nil {
		return err
	}
	hangups := cluster.Subscribe(ami.Named("Hangup")) // before Run: nothing is missed
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cluster.Run(ctx) })
	g.Go(func() error {
		if err := cluster.Ready(ctx, len(nodes)); err != nil {
			return err
		}
		for range nodes { // the nodes take turns
			call := action.Originate{Channel: "PJSIP/2001", Application: "Wait", Data: "1", Async: true}
			if _, err := cluster.Send(ctx, call); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		left := len(nodes)
		for e := range hangups.C() {
			if _, ok := e.Gap(); ok {
				return fmt.Errorf("%s was away: its hangup may be lost", e.Node)
			}
			fmt.Println(e.Node, e.Get("Channel"), "hung up:", e.Get("Cause-txt"))
			if left--; left == 0 {
				return cluster.Close() // ends Run and the subscription
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
	if err := callAll(context.Background(), nodes); err != nil {
		panic(err)
	}
	// Unordered output:
	// pbx1 PJSIP/2001-00000001 hung up: Normal Clearing
	// pbx2 PJSIP/2001-00000001 hung up: Normal Clearing
	// pbx3 PJSIP/2001-00000001 hung up: Normal Clearing
}

func ExampleCluster_Broadcast() {
	cluster, stop := exampleCluster(3)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
