package event_test

import (
	"fmt"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func hangup() event.Event {
	f, err := frame.Parse("Event: Hangup\r\nPrivilege: call,all\r\nChannel: PJSIP/alice-00000001\r\n" +
		"ChannelState: 6\r\nUniqueid: 1700000000.1\r\nCause: 17\r\nCause-txt: User busy\r\n")
	if err != nil {
		panic(err)
	}
	return event.Event{Node: "pbx1", Seq: 1, Frame: f}
}

func ExampleAs() {
	e := hangup() // from a subscription
	if h, ok := event.As[event.Hangup](e); ok {
		fmt.Println(h.Node, h.Channel.Name, h.Channel.State, int(h.Cause), h.Cause)
	}
	// Output: pbx1 PJSIP/alice-00000001 Up 17 User busy
}

func ExampleDecode() {
	switch e := event.Decode(hangup()).(type) {
	case *event.Newchannel:
		fmt.Println("new:", e.Channel.Name)
	case *event.Hangup:
		fmt.Println("gone:", e.Channel.Name)
	case event.Event: // newer than this package, or a gap
		fmt.Println(e)
	}
	// Output: gone: PJSIP/alice-00000001
}

func ExampleInvalid() {
	f, err := frame.Parse("Event: DialEnd\r\nChannel: PJSIP/alice-00000001\r\nPriority: <unknown>\r\nDialStatus: BUSY\r\n")
	if err != nil {
		panic(err)
	}
	d, _ := event.As[event.DialEnd](event.Event{Node: "pbx1", Frame: f})
	fmt.Println(d.DialStatus == event.DialStatusBusy, d.Channel.Priority)
	for _, bad := range event.Invalid(d) {
		fmt.Println(bad)
	}
	// Output:
	// true 0
	// event DialEnd: Priority is not a whole number
}
