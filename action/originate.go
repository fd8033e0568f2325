package action

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Originate places a call: it dials Channel and, when that answers, connects it
// to Exten in Context at Priority or to Application
// (main/manager.c:action_originate). Privilege originate; applications and
// functions that reach the system need system as well.
//
// With Async the answer is complete with the OriginateResponse event, so that
// Send returns how the call went; it needs events of the class call. Its Reason
// is 0 failure, 1 hangup, 3 no answer, 4 answered, 5 busy, 8 congestion
// (main/pbx.c:pbx_dial_reason). Without Async, Asterisk answers when the call is
// answered or failed, and nothing else on the same session until then.
//
// It prints and marshals without Data, which may hold a secret.
type Originate struct {
	Channel string // technology/data, as for Dial

	Context  string // together with Exten and Priority
	Exten    string
	Priority string // a number or a label

	Application string // instead of them
	Data        string // its arguments

	// Timeout is how long the phone may ring, in whole milliseconds.
	// 0 means Asterisk's default of 30 s.
	Timeout time.Duration

	CallerID   string // "Name" <number>
	Account    string
	Codecs     string
	EarlyMedia bool
	Async      bool
	Variables  []Variable // set on the new channel

	ChannelID      string // unique id of the new channel, at most 149 bytes
	OtherChannelID string // of the second half of a Local channel
	PreDialGoSub   string // only without Async, and with Exten
}

// String returns who is called and what for, and a mark in place of Data.
func (a Originate) String() string {
	return fmt.Sprintf("Originate Channel=%q Context=%q Exten=%q Priority=%q Application=%q Data=%s Async=%v Variables=%v",
		a.Channel, a.Context, a.Exten, a.Priority, a.Application, redacted, a.Async, a.Variables)
}

// Format makes every verb print what String returns.
func (a Originate) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, a.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (a Originate) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// A Variable is a channel variable or a dialplan function that can be set. It
// prints and marshals without its value, which may be a secret.
type Variable struct {
	Name  string
	Value string
}

// String returns the name, and a mark in place of the value.
func (v Variable) String() string { return v.Name + "=" + redacted }

// Format makes every verb print what String returns.
func (v Variable) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, v.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (v Variable) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

const defaultRing = 30 * time.Second

// Name implements Action.
func (Originate) Name() string { return "Originate" }

// AppendFields implements Action.
func (a Originate) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "Originate", dst: dst}
	f.required("Channel", a.Channel)
	if a.Application == "" && a.Exten == "" {
		f.invalid("Exten", "or Application is required")
	}
	if a.Exten != "" && (a.Context == "" || a.Priority == "") {
		f.invalid("Exten", "needs Context and Priority")
	}
	f.optional("Context", a.Context)
	f.optional("Exten", a.Exten)
	f.optional("Priority", a.Priority)
	f.optional("Application", a.Application)
	f.optional("Data", a.Data)
	f.optionalDuration("Timeout", a.Timeout, time.Millisecond)
	f.optional("CallerID", a.CallerID)
	f.optional("Account", a.Account)
	f.optional("Codecs", a.Codecs)
	f.optionalFlag("EarlyMedia", a.EarlyMedia, "true")
	f.optionalFlag("Async", a.Async, "true")
	f.variables(a.Variables)
	f.optionalUniqueID("ChannelId", a.ChannelID)
	f.optionalUniqueID("OtherChannelId", a.OtherChannelID)
	f.optional("PreDialGoSub", a.PreDialGoSub)
	return f.done()
}

// Strategy implements Action.
func (a Originate) Strategy() strategy.Strategy {
	s := strategy.Strategy{Kind: strategy.Single, Blocking: true}
	if a.Async {
		s = strategy.AsyncBy("OriginateResponse")
	}
	ring := a.Timeout
	if ring == 0 {
		ring = defaultRing
	}
	s.Timeout = ring + answerMargin
	return s
}

// An OriginateResult is how a call that Originate placed has gone.
type OriginateResult struct {
	Answer

	// Reason is why the call ended before it was connected, or Answered. Without
	// Async it is always Answered: any other outcome is an *ami.ActionError,
	// "Originate failed", that gives no reason. If the answer was complete without
	// the event, by a strategy of your own, nothing is known and it is 0.
	Reason event.OriginateReason
	// Channel is the new channel, or what was to be dialled if there was none.
	// Without Async it is empty, and so is UniqueID.
	Channel string
	// UniqueID is that of the new channel, "" if there was none.
	UniqueID string
}

// Answered reports whether the call was answered.
func (r OriginateResult) Answered() bool { return r.Reason == event.OriginateReasonAnswered }

// Decode implements Typed.
func (a Originate) Decode(answer Answer) OriginateResult {
	switch {
	case !a.Async:
		return OriginateResult{Answer: answer, Reason: event.OriginateReasonAnswered}
	case answer.End == nil: // queued, and that is all
		return OriginateResult{Answer: answer}
	}
	end := one[event.OriginateResponse](answer)
	id := end.Uniqueid
	if id == "<unknown>" {
		id = ""
	}
	return OriginateResult{Answer: answer, Reason: end.Reason, Channel: end.Channel, UniqueID: id}
}

// uniqueIDMost is the longest unique id that Asterisk takes
// (include/asterisk/channel.h:AST_MAX_PUBLIC_UNIQUEID).
const uniqueIDMost = 149

func (f *fields) optionalUniqueID(key, id string) {
	if len(id) > uniqueIDMost {
		f.invalid(key, fmt.Sprintf("must have at most %d bytes", uniqueIDMost))
	}
	f.optional(key, id)
}

// escapeVariable protects a value from the splitting at commas that Asterisk
// does to each Variable header (main/manager.c:man_do_variable_value): it would
// set a second variable from "1,B=2".
func escapeVariable(value string) string {
	const special = `\",()[]`
	if !strings.ContainsAny(value, special) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if strings.IndexByte(special, value[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	return b.String()
}
