package action

import (
	"strings"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// Typed is an action whose answer has a type of its own; ami.Call returns it.
// Every action of this package is one, except Generic.
type Typed[R any] interface {
	Action
	// Decode makes the result of a complete answer that is no error. The result
	// of a list without items is empty.
	Decode(a Answer) R
}

// An Answer is what Asterisk has sent. Results that are structs hold it: what
// has no field is in its frames.
type Answer struct {
	Node string

	// Response is the Response message, never nil; empty if none came.
	Response *frame.Frame
	// Items are the events of a list, in order.
	Items []*frame.Frame
	// End is the event that completed the answer, nil if a Response did.
	End *frame.Frame

	// Invalid are the headers whose value their field could not take.
	Invalid []event.FieldError
}

// Message returns Asterisk's message without the line end that some have.
func (a Answer) Message() string { return oneLine(a.Response.Get("Message")) }

// oneLine makes a value that ends in a line feed fit one line.
func oneLine(s string) string { return strings.TrimSpace(s) }
