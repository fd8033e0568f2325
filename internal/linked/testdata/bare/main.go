// Bare uses no typed action and no typed event.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

func main() {
	c, err := ami.Dial(context.Background(), ami.Node{Key: "pbx1", Addr: os.Args[1], Username: "u", Secret: ami.NewSecret("s")})
	if err != nil {
		panic(err)
	}
	r, err := c.Send(context.Background(), action.New("QueueStatus"))
	fmt.Println(r, err)
	for e := range c.Events() {
		fmt.Println(e)
	}
}
