package action

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Ping asks for a sign of life (main/manager.c:action_ping). The Response has
// Ping: Pong and Asterisk's clock in Timestamp. No privilege is needed.
type Ping struct{}

// Name implements Action.
func (Ping) Name() string { return "Ping" }

// AppendFields implements Action.
func (Ping) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (Ping) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Events changes the event mask of the session (main/manager.c:action_events).
// The next session starts with the mask of the node again.
type Events struct {
	// EventMask is "on", "off" or a list of classes such as "call,agent".
	// Asterisk takes an unknown class for "off".
	EventMask string
}

// Name implements Action.
func (Events) Name() string { return "Events" }

// AppendFields implements Action.
func (a Events) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Events", dst: dst}
	f.required("EventMask", a.EventMask)
	return f.done()
}

// Strategy implements Action.
func (Events) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Command runs a command of Asterisk's CLI (main/manager.c:action_command) and
// needs the privilege command. The output lines are the Output of the answer,
// also when the command fails, which makes it a Response: Error. Asterisk
// refuses module load, module unload and restart gracefully.
type Command struct {
	Command string
}

// Name implements Action.
func (Command) Name() string { return "Command" }

// AppendFields implements Action.
func (a Command) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Command", dst: dst}
	f.required("Command", a.Command)
	return f.done()
}

// Strategy implements Action.
func (Command) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Command} }

// CoreShowChannels lists the channels, one CoreShowChannel each
// (main/manager.c:action_coreshowchannels). Privilege system or reporting.
type CoreShowChannels struct{}

// Name implements Action.
func (CoreShowChannels) Name() string { return "CoreShowChannels" }

// AppendFields implements Action.
func (CoreShowChannels) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (CoreShowChannels) Strategy() strategy.Strategy {
	return strategy.ListOf("CoreShowChannelsComplete")
}

// CoreSettings asks for Asterisk's version and limits
// (main/manager.c:action_coresettings). Privilege system or reporting.
type CoreSettings struct{}

// Name implements Action.
func (CoreSettings) Name() string { return "CoreSettings" }

// AppendFields implements Action.
func (CoreSettings) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }

// Strategy implements Action.
func (CoreSettings) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Status describes one channel or all (main/manager.c:action_status). Privilege
// system, call or reporting.
type Status struct {
	Channel string // empty: all
}

// Name implements Action.
func (Status) Name() string { return "Status" }

// AppendFields implements Action.
func (a Status) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Status", dst: dst}
	f.optional("Channel", a.Channel)
	return f.done()
}

// Strategy implements Action. The items carry a Privilege header as only
// broadcasts do elsewhere (recording 3-status).
func (Status) Strategy() strategy.Strategy {
	s := strategy.ListOf("StatusComplete")
	s.Items = []string{"Status"}
	return s
}

// Hangup ends a channel, or all that match a regular expression between
// slashes: then the answer is a list (main/manager.c:action_hangup). Privilege
// system or call.
type Hangup struct {
	Channel string
	Cause   int // Q.850 cause, 1 to 127; 0: Asterisk's choice
}

// Name implements Action.
func (Hangup) Name() string { return "Hangup" }

// AppendFields implements Action.
func (a Hangup) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Hangup", dst: dst}
	f.required("Channel", a.Channel)
	switch {
	case a.Cause < 0 || a.Cause > 127:
		f.invalid("Cause", "must be 1 to 127, or 0 to leave it to Asterisk")
	case a.Cause > 0:
		f.add("Cause", strconv.Itoa(a.Cause))
	}
	return f.done()
}

// Strategy implements Action.
func (Hangup) Strategy() strategy.Strategy { return strategy.Strategy{} }

// Redirect moves a channel to a place in the dialplan
// (main/manager.c:action_redirect). Privilege call. A context that does not
// exist is a Success, and the channel hangs up.
type Redirect struct {
	Channel  string
	Context  string
	Exten    string
	Priority string // a number or a label
}

// Name implements Action.
func (Redirect) Name() string { return "Redirect" }

// AppendFields implements Action.
func (a Redirect) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Redirect", dst: dst}
	f.required("Channel", a.Channel)
	f.required("Context", a.Context)
	f.required("Exten", a.Exten)
	f.required("Priority", a.Priority)
	return f.done()
}

// Strategy implements Action.
func (Redirect) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Getvar reads a variable of a channel, or a global one
// (main/manager.c:action_getvar). Privilege call, dialplan or reporting. The
// value is the header Value of the Response.
type Getvar struct {
	Channel  string // empty: global
	Variable string
}

// Name implements Action.
func (Getvar) Name() string { return "Getvar" }

// AppendFields implements Action.
func (a Getvar) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Getvar", dst: dst}
	f.optional("Channel", a.Channel)
	f.required("Variable", a.Variable)
	return f.done()
}

// Strategy implements Action.
func (Getvar) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

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

// UserEvent makes Asterisk broadcast an event of one's own to all sessions
// (main/manager.c:action_userevent). Privilege user. Asterisk copies all
// headers into the event, the ActionID as well.
type UserEvent struct {
	UserEvent string        // the name
	Headers   []frame.Field // in order
}

// Name implements Action.
func (UserEvent) Name() string { return "UserEvent" }

// AppendFields implements Action.
func (a UserEvent) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "UserEvent", dst: dst}
	f.required("UserEvent", a.UserEvent)
	f.dst = append(f.dst, a.Headers...)
	return f.done()
}

// Strategy implements Action.
func (UserEvent) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// WaitEvent holds the session until an event is queued for it or the timeout
// ends (main/manager.c:action_waitevent). It exists for the HTTP interface: here
// subscriptions do better, and nothing else is answered meanwhile.
type WaitEvent struct {
	Timeout time.Duration // whole seconds; 0 returns at once
}

// Name implements Action.
func (WaitEvent) Name() string { return "WaitEvent" }

// AppendFields implements Action.
func (a WaitEvent) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "WaitEvent", dst: dst}
	if a.Timeout < 0 || a.Timeout%time.Second != 0 {
		f.invalid("Timeout", "must be whole seconds and not negative")
	}
	f.add("Timeout", strconv.Itoa(int(a.Timeout/time.Second)))
	return f.done()
}

// Strategy implements Action.
func (a WaitEvent) Strategy() strategy.Strategy {
	s := strategy.ListOf("WaitEventComplete")
	s.Unannounced, s.Blocking, s.Timeout = true, true, a.Timeout+answerMargin
	return s
}

// answerMargin is what the answer of a blocking action may take beyond the
// time for which it blocks.
const answerMargin = 10 * time.Second
