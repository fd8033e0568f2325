package ami

import (
	"github.com/apn/ami/frame"
)

// A Response is a whole answer. It is immutable.
type Response struct {
	Node     string
	ActionID string

	// Frame is the Response message, never nil. It is an empty frame if none
	// came: then Items and End are all there is.
	Frame *frame.Frame
	// Items are the events of a list in order, or the texts of an answer that
	// has no Response.
	Items []*frame.Frame
	// End is the event that completed the answer: that which ends a list, or
	// the OriginateResponse of an asynchronous Originate. Else nil.
	End *frame.Frame
	// Partial says that the time was up, and the action's strategy takes what
	// had come until then.
	Partial bool
}

// Get returns the value of the first header named key of the Response message.
func (r *Response) Get(key string) string { return r.Frame.Get(key) }

// Message returns Asterisk's message without the line end that some have.
func (r *Response) Message() string { return oneLine(r.Get("Message")) }

// Output returns the lines that a Command has printed.
func (r *Response) Output() []string { return r.Frame.Values("Output") }

// String returns what kind of answer it is and no header's value.
func (r *Response) String() string {
	if r == nil {
		return "<nil response>"
	}
	return r.Node + " " + r.ActionID + " " + r.Frame.String()
}
