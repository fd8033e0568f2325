package action

import (
	"fmt"

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

func (f *fields) flag(key string, on bool) {
	if on {
		f.add(key, "true") // main/utils.c: ast_true
	}
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
