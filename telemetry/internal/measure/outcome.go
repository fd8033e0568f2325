package measure

import (
	"strings"
	"sync"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// An Outcome is how an action ended: one of a few words, whatever the error says.
type Outcome uint8

// The outcomes.
const (
	OK           Outcome = iota
	Refused              // Asterisk said no
	Timeout              // no answer in time
	Canceled             // the caller gave up
	NotReady             // the node takes no actions
	NoNode               // there is no such node
	Backpressure         // a queue was full
	Connection           // the session died
	Invalid              // the action cannot be sent
	Protocol             // the answer was not what it should be
	Unknown              // none of these

	outcomes
)

var outcomeNames = [outcomes]string{
	"ok", "error", "timeout", "canceled", "not_ready", "no_node", "backpressure", "connection", "invalid", "protocol", Other,
}

// String returns the outcome as a label has it.
func (o Outcome) String() string { return outcomeNames[o] }

// Outcomes are all of them, in order.
func Outcomes() []string { return outcomeNames[:] }

// OutcomeOf returns the outcome that err, as an ami.Observer gets it, stands for.
func OutcomeOf(err error) Outcome {
	// Not errors.As: what an error wraps, the cause of a context say, may be the
	// error of another action.
	switch e := err.(type) { //nolint:errorlint // see above
	case nil:
		return OK
	case *ami.ActionError:
		return Refused
	case *ami.TimeoutError:
		if e.Timeout() {
			return Timeout
		}
		return Canceled
	case *ami.NotReadyError:
		return NotReady
	case *ami.NoNodeError:
		return NoNode
	case *ami.BackpressureError:
		return Backpressure
	case *ami.ConnError:
		return Connection
	case *ami.ConfigError, *action.InvalidError, *frame.EncodeError, *strategy.ValidationError:
		return Invalid
	case *ami.MissingResponseError, *ami.TooManyMessagesError, *ami.ProtocolError:
		return Protocol
	default:
		return Unknown
	}
}

// Other is the label of what has none of its own.
const Other = "other"

// known are the names that the catalogue has, as far as they have been asked for:
// no more than there are actions.
var known sync.Map

// Action returns the name of an action as a label, in Asterisk's spelling; Other
// if the catalogue does not know it. So the labels are bounded, whatever a program
// sends.
func Action(name string) string {
	if _, ok := known.Load(name); ok {
		return name
	}
	facts, ok := action.Lookup(name)
	if !ok {
		return Other
	}
	if facts.Name == name {
		name = strings.Clone(name)
		known.Store(name, nil)
	}
	return facts.Name
}
