package action

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// An Action is one request. Users implement it for actions of their own.
type Action interface {
	// Name is Asterisk's name of the action.
	Name() string
	// AppendFields appends the action's headers to dst in wire order, without
	// Action and ActionID, which the client adds. An error, best an
	// *InvalidError, refuses the action before anything is sent.
	AppendFields(dst []frame.Field) ([]frame.Field, error)
	// Strategy tells when the answer is complete.
	Strategy() strategy.Strategy
}

// An InvalidError reports a parameter that is missing or out of range. Nothing
// was sent. It never holds a value, since that may be a secret.
type InvalidError struct {
	Action string // the action's name
	Param  string // the parameter, in Asterisk's spelling
	Reason string // what is wrong and what is allowed
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("action %s: %s %s", e.Action, e.Param, e.Reason)
}

// fields builds the headers of one typed action. The first error stays.
type fields struct {
	action string
	dst    []frame.Field
	err    error
}

func (f *fields) add(key, value string) { f.dst = append(f.dst, frame.Field{Key: key, Value: value}) }

// optional leaves an empty value out.
func (f *fields) optional(key, value string) {
	if value != "" {
		f.add(key, value)
	}
}

// required refuses an empty value.
func (f *fields) required(key, value string) {
	if value == "" {
		f.invalid(key, "is required")
	}
	f.add(key, value)
}

// optionalFlag leaves no out: it is Asterisk's default, and With sends it all
// the same.
func (f *fields) optionalFlag(key string, on bool, yes string) {
	if on {
		f.add(key, yes)
	}
}

func (f *fields) requiredFlag(key string, on bool, yes, no string) {
	if on {
		f.add(key, yes)
	} else {
		f.add(key, no)
	}
}

// oneOf refuses a value that Asterisk does not know, as it compares: without
// regard to case.
func (f *fields) oneOf(key, value string, allowed []string) {
	for _, a := range allowed {
		if strings.EqualFold(a, value) {
			f.add(key, value)
			return
		}
	}
	f.invalid(key, "must be one of "+strings.Join(allowed, ", "))
}

func (f *fields) requiredOneOf(key, value string, allowed ...string) { f.oneOf(key, value, allowed) }

func (f *fields) optionalOneOf(key, value string, allowed ...string) {
	if value != "" {
		f.oneOf(key, value, allowed)
	}
}

func (f *fields) requiredNumber(key string, n int) { f.add(key, strconv.Itoa(n)) }

func (f *fields) optionalNumber(key string, n int) {
	if n != 0 {
		f.requiredNumber(key, n)
	}
}

// requiredDuration sends whole units.
func (f *fields) requiredDuration(key string, d, unit time.Duration) {
	if d < 0 || d%unit != 0 {
		f.invalid(key, "must be a whole number of "+units[unit]+" and not negative")
	}
	f.add(key, strconv.FormatInt(int64(d/unit), 10))
}

var units = map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}

func (f *fields) optionalDuration(key string, d, unit time.Duration) {
	if d != 0 {
		f.requiredDuration(key, d, unit)
	}
}

// requiredSeconds sends seconds with a fraction.
func (f *fields) requiredSeconds(key string, d time.Duration) {
	if d < 0 {
		f.invalid(key, "must not be negative")
	}
	f.add(key, strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
}

// cause is left out if it is 0.
func (f *fields) cause(c event.HangupCause) {
	switch {
	case c < 0 || c > 127:
		f.invalid("Cause", "must be 1 to 127, or 0 to leave it to Asterisk")
	case c > 0:
		f.requiredNumber("Cause", int(c))
	}
}

// variables sends one header for each.
func (f *fields) variables(list []Variable) {
	for _, v := range list {
		if v.Name == "" || strings.ContainsAny(v.Name, "=,") {
			f.invalid("Variable", "needs a name without = and comma")
		}
		f.add("Variable", v.Name+"="+escapeVariable(v.Value))
	}
}

func (f *fields) someVariables(list []Variable) {
	if len(list) == 0 {
		f.invalid("Variable", "is required")
	}
	f.variables(list)
}

func (f *fields) invalid(param, reason string) {
	if f.err == nil {
		f.err = &InvalidError{Action: f.action, Param: param, Reason: reason}
	}
}

func (f *fields) done() ([]frame.Field, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.dst, nil
}
