package strategy

import (
	"fmt"
	"time"
)

// Kind is the way in which an action is answered.
type Kind uint8

// The kinds of a Strategy. The zero Kind suits an action of which nothing is
// known.
const (
	// Auto is one Response; if that announces a list (EventList: start), the
	// list up to the event that says EventList: Complete.
	Auto Kind = iota
	// Single is one Response, or Responses of them.
	Single
	// List is a Response, items, and one of the Terminal events. A Success that
	// announces no list is an empty one.
	List
	// Command is one Response with the output of a CLI command in it.
	Command
	// Async is a Response and, later, one of the Terminal events, which
	// Asterisk broadcasts to every session.
	Async
	// EventOnly is one of the Terminal events. A Response may come before it
	// and need not.
	EventOnly
	// Bare is an answer without Response and ActionID (IAXnetstats). It is
	// everything up to the answer of a Ping sent right behind the action.
	Bare
)

var kindNames = [...]string{"auto", "single", "list", "command", "async", "event-only", "bare"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// DefaultMaxMessages bounds the frames of one answer unless a Strategy says
// otherwise. The memory of an answer is that of its frames.
const DefaultMaxMessages = 100_000

// A Strategy describes how an action is answered. It is a value: copy it and
// change what differs. The zero Strategy is that of an unknown action.
type Strategy struct {
	Kind Kind

	// Terminal names the events that end the answer. Names match without
	// regard to case. List, Async and EventOnly need one at least.
	Terminal []string

	// Items names events that belong to a list although they look like
	// broadcasts, which carry a Privilege header (Status does that). They must
	// come on the session of the action: with action lanes a real broadcast comes
	// on another one and may overtake the Response. Take Async or EventOnly then.
	Items []string

	// NoActionID names items that Asterisk sends without an ActionID
	// (IAXpeers: PeerEntry). They belong to the list that is open.
	NoActionID []string

	// Responses is how many Responses a Single gets if all goes well
	// (JabberSend: 2). An Error ends it at once. 0 means 1.
	Responses int

	// Unannounced says that the Response of a List does not announce it with
	// EventList: start (WaitEvent, FAXSession).
	Unannounced bool

	// Merged says that the items of a List and the event that ends it come as one
	// message, because Asterisk puts no blank line between them (SKINNYdevices).
	Merged bool

	// ErrorGoesOn says that after EventList: start an Error does not end a
	// List: its Terminal event still comes (PJSIPShowEndpoint).
	ErrorGoesOn bool

	// Empty holds the Messages of an Error by which Asterisk says that a list
	// is empty, compared without white space at the ends (DBGet: "Database
	// entry not found").
	Empty []string

	// Blocking says that Asterisk may answer only after a long while and
	// nothing else meanwhile on the same session (WaitEvent, an Originate that
	// is not Async). Silence is then no sign of a dead peer until Timeout.
	Blocking bool

	// Timeout is how long the whole answer may take. 0 means the client's
	// default.
	Timeout time.Duration

	// Partial says what a timeout yields: what came so far instead of an
	// error. If nothing came, or an Error, it is an error all the same.
	Partial bool

	// MaxMessages bounds the number of frames in the answer.
	// 0 means DefaultMaxMessages.
	MaxMessages int
}

// ListOf is the strategy of a regular list that the event named complete ends.
func ListOf(complete string) Strategy {
	return Strategy{Kind: List, Terminal: []string{complete}}
}

// AsyncBy is the strategy of an action that the broadcast event decides.
func AsyncBy(event string) Strategy {
	return Strategy{Kind: Async, Terminal: []string{event}}
}

// A ValidationError reports a Strategy that cannot work.
type ValidationError struct {
	Field  string
	Reason string
}

func (e *ValidationError) Error() string {
	return fmt.Sprintf("strategy: %s %s", e.Field, e.Reason)
}

// Validate reports the first field that makes no sense as a *ValidationError.
func (s *Strategy) Validate() error {
	switch {
	case int(s.Kind) >= len(kindNames):
		return &ValidationError{"Kind", fmt.Sprintf("is %d, which is none", s.Kind)}
	case (s.Kind == List || s.Kind == Async || s.Kind == EventOnly) && len(s.Terminal) == 0:
		return &ValidationError{"Terminal", "is empty: nothing would ever end the " + s.Kind.String() + " answer"}
	case s.Timeout < 0:
		return &ValidationError{"Timeout", fmt.Sprintf("is %v: it must not be negative", s.Timeout)}
	case s.MaxMessages < 0:
		return &ValidationError{"MaxMessages", fmt.Sprintf("is %d: it must not be negative", s.MaxMessages)}
	case s.Responses < 0:
		return &ValidationError{"Responses", fmt.Sprintf("is %d: it must not be negative", s.Responses)}
	default:
		return nil
	}
}
