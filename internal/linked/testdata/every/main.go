// Every decodes any event to its type, and so carries all of them.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apn/ami"
	"github.com/apn/ami/event"
)

func main() {
	c, err := ami.Dial(context.Background(), ami.Node{Key: "pbx1", Addr: os.Args[1], Username: "u", Secret: ami.NewSecret("s")})
	if err != nil {
		panic(err)
	}
	for e := range c.Events() {
		fmt.Println(event.Decode(e))
	}
}
