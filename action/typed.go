package action

import (
	"strconv"
	"strings"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// Typed is an action whose answer has a type of its own; ami.Call returns it.
// Every action of this package is one, except Generic. Implement it for actions
// of your own modules.
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
	// Items are the events of a list in order, or the texts of an answer that
	// has no Response.
	Items []*frame.Frame
	// End is the event that completed the answer, nil if a Response did.
	End *frame.Frame

	// Partial says that time ended and this is what had come: of a strategy of
	// your own that takes that as an answer.
	Partial bool

	// Invalid are the headers of the Response whose value their field could not
	// take; the field is zero then. Those of an item: see event.Invalid.
	Invalid []event.FieldError
}

// Message returns Asterisk's message without the line end that some have.
func (a Answer) Message() string { return strings.TrimSpace(a.Response.Get("Message")) }

// Success is the answer to an action that tells no more than that it was done,
// and maybe a Message.
type Success struct{ Answer }

// items decodes those items of a list that are a T.
func items[T any, P event.Typed[T]](a Answer) []T {
	list := make([]T, 0, len(a.Items))
	name := P(nil).EventName()
	for _, f := range a.Items {
		if !strings.EqualFold(f.Name(), name) {
			continue
		}
		list = append(list, *new(T))
		P(&list[len(list)-1]).DecodeEvent(event.Event{Node: a.Node, Frame: f})
	}
	return list
}

// one decodes the event that completed the answer.
func one[T any, P event.Typed[T]](a Answer) (t T) {
	if a.End != nil {
		P(&t).DecodeEvent(event.Event{Node: a.Node, Frame: a.End})
	}
	return t
}

// The methods below read a header of the Response. One that is absent is zero.

func (a *Answer) number(key string) int {
	return header(a, key, "a whole number", strconv.Atoi)
}

func (a *Answer) float(key string) float64 {
	return header(a, key, "a number", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func (a *Answer) yes(key string) bool {
	return header(a, key, "yes or no", func(s string) (bool, error) {
		switch s {
		case "Yes", "yes", "Y":
			return true, nil
		case "No", "no", "N":
			return false, nil
		}
		return false, strconv.ErrSyntax
	})
}

func (a *Answer) pairs(key string) (list []event.Variable) {
	for _, v := range a.Response.Values(key) {
		name, value, _ := strings.Cut(v, "=")
		list = append(list, event.Variable{Name: name, Value: value})
	}
	return list
}

func header[T any](a *Answer, key, want string, parse func(string) (T, error)) (t T) {
	value, ok := a.Response.Lookup(key)
	if !ok {
		return t
	}
	t, err := parse(value)
	if err != nil {
		a.Invalid = append(a.Invalid, event.FieldError{Event: "Response", Key: key, Value: value, Want: want})
		return *new(T)
	}
	return t
}
