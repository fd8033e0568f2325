package event

import (
	"fmt"
	"strings"
)

// Typed is what As and ami.On decode: a pointer to one of the structs of
// this package, or to a struct of your own for events of your own modules.
type Typed[T any] interface {
	*T
	// EventName is the event's name in Asterisk's spelling. It is called on a
	// nil pointer too.
	EventName() string
	// DecodeEvent sets the fields from the headers of e, and returns those
	// whose value was not what the field takes; such a field stays zero.
	DecodeEvent(e Event) []FieldError
}

// As returns e as a T, or false if it is another event, or a gap. A header whose
// value its field cannot take leaves the field zero: see Invalid. It allocates
// the T and nothing else, unless headers repeat or hold escaped characters: texts
// are parts of the Frame. The T does not change any more: hand it to other
// goroutines if you like.
//
//	if h, ok := event.As[event.Hangup](e); ok {
//		log.Print(h.Channel.Name, h.Cause)
//	}
func As[T any, P Typed[T]](e Event) (*T, bool) {
	if e.gap != nil || !strings.EqualFold(e.Name(), P(nil).EventName()) {
		return nil, false
	}
	return as[T, P](e), true
}

// as returns e as a *T, whatever its name.
func as[T any, P Typed[T]](e Event) *T {
	t := new(T)
	P(t).DecodeEvent(e)
	return t
}

// Invalid returns the headers of a decoded event whose value its field could not
// take: a number that is none, "<unknown>", "(null)", an empty one. The field is
// zero then, and the text is in FieldError.Value and in the Frame. It decodes the
// event once more, so that events which are all right cost nothing.
func Invalid[T any, P Typed[T]](t P) []FieldError {
	source, ok := any(t).(interface{ source() Event })
	if !ok {
		return nil
	}
	return P(new(T)).DecodeEvent(source.source())
}

// source is promoted to every typed event.
func (e Event) source() Event { return e }

// A FieldError tells of a header whose value is not what the field for it takes.
type FieldError struct {
	Event string // name of the event
	Key   string // the header, in Asterisk's spelling
	Value string // as received
	Want  string // what was expected: "a whole number", "yes or no"
}

// Error names event, header and what was expected. It shows no value, which may
// be a secret.
func (e FieldError) Error() string {
	return fmt.Sprintf("event %s: %s is not %s", e.Event, e.Key, e.Want)
}
