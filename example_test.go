package ami_test

import (
	"context"
	"fmt"

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
