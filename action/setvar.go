package action

import (
	"fmt"
	"io"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Setvar sets a variable of a channel, or a global one
// (main/manager.c:action_setvar). Privilege call. It prints and marshals without
// the value, which may be a secret.
type Setvar struct {
	Channel  string // empty: global
	Variable string
	Value    string
}

// String returns channel and variable, and a mark in place of the value.
func (a Setvar) String() string {
	return fmt.Sprintf("Setvar %q %s=%s", a.Channel, a.Variable, redacted)
}

// Format makes every verb print what String returns.
func (a Setvar) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, a.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (a Setvar) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Name implements Action.
func (Setvar) Name() string { return "Setvar" }

// AppendFields implements Action.
func (a Setvar) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Setvar", dst: dst}
	f.optional("Channel", a.Channel)
	f.required("Variable", a.Variable)
	f.add("Value", a.Value)
	return f.done()
}

// Strategy implements Action.
func (Setvar) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Decode implements Typed.
func (Setvar) Decode(a Answer) Success { return Success{a} }
