// Small uses three actions and two kinds of event.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	c, err := ami.Dial(ctx, ami.Node{Key: "pbx1", Addr: addr, Username: "u", Secret: ami.NewSecret("s")})
	if err != nil {
		return err
	}
	defer c.Close()
	channels, err := ami.Call(ctx, c, action.CoreShowChannels{})
	if err != nil {
		return err
	}
	queues, err := ami.Call(ctx, c, action.QueueStatus{})
	if err != nil {
		return err
	}
	value, err := ami.Call(ctx, c, action.Getvar{Variable: "X"})
	if err != nil {
		return err
	}
	fmt.Println(len(channels), len(queues.Members), value)
	begun := ami.On[event.Newchannel](c)
	for e, err := range ami.On[event.Hangup](c).All(ctx) {
		if err != nil {
			return err
		}
		fmt.Println(e.Channel.Name, e.Cause, begun.Dropped())
	}
	return nil
}
