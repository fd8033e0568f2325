package action

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Generic is an action of any name with any headers. Make it with New. It prints
// without their values, which may be secrets.
type Generic struct {
	name     string
	fields   []frame.Field
	strategy *strategy.Strategy // nil: that of Lookup
	odd      bool
	custom   bool // it may be an action that Lookup does not know
}

// New returns the action called name with the headers given as name, value,
// name, value, in that order; a name may occur many times. It completes as the
// typed action of that name does.
//
//	action.New("QueueAdd", "Queue", "support", "Interface", "PJSIP/2001")
//
// Send refuses a name that Lookup does not know, which is a slip more often than
// not (see Custom), a header without a value, and what frame.AppendAction refuses.
func New(name string, headers ...string) Generic {
	g := Generic{name: name, odd: len(headers)%2 != 0}
	for h := range slices.Chunk(headers, 2) {
		if len(h) == 2 {
			g.fields = append(g.fields, frame.Field{Key: h[0], Value: h[1]})
		}
	}
	return g
}

// Custom is New for an action that Lookup does not know: of a module of your own,
// or of a newer Asterisk. It completes with its Response or, if that announces
// one, with the end of its list; use Answered for anything else.
func Custom(name string, headers ...string) Generic {
	g := New(name, headers...)
	g.custom = true
	return g
}

// With returns a copy of the action with one more header.
func (g Generic) With(key, value string) Generic {
	g.fields = append(slices.Clip(g.fields), frame.Field{Key: key, Value: value})
	return g
}

// Answered returns a copy of the action that completes as s says.
func (g Generic) Answered(s strategy.Strategy) Generic {
	g.strategy, g.custom = &s, true
	return g
}

// Name implements Action.
func (g Generic) Name() string { return g.name }

// AppendFields implements Action.
func (g Generic) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	if !g.custom && find(g.name) == nil {
		return nil, &InvalidError{Action: g.name, Param: "Action", Reason: "is no action of Asterisk 18 to 23: use Custom if your server has it"}
	}
	if g.odd {
		return nil, &InvalidError{Action: g.name, Param: "headers", Reason: "end with a name that has no value"}
	}
	return append(dst, g.fields...), nil
}

// Strategy implements Action.
func (g Generic) Strategy() strategy.Strategy {
	if g.strategy != nil {
		return *g.strategy
	}
	r := find(g.name)
	if r == nil {
		return strategy.Strategy{}
	}
	switch r.name { // those that depend on parameters
	case "Originate":
		ring, _ := strconv.Atoi(g.get("Timeout")) // Asterisk refuses what is no number
		return Originate{Async: yes(g.get("Async")), Timeout: time.Duration(ring) * time.Millisecond}.Strategy()
	case "WaitEvent":
		wait, _ := strconv.Atoi(g.get("Timeout"))
		return WaitEvent{Timeout: time.Duration(wait) * time.Second}.Strategy()
	default:
		return r.decode()
	}
}

// get returns what Asterisk sees as the value: it drops what looks blank before it
// (include/asterisk/strings.h:ast_skip_blanks).
func (g Generic) get(key string) string {
	for _, f := range g.fields {
		if strings.EqualFold(f.Key, key) {
			return strings.TrimLeftFunc(f.Value, func(r rune) bool { return r <= ' ' })
		}
	}
	return ""
}

// yes is what Asterisk takes for true (main/utils.c:ast_true).
func yes(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "y", "t", "1", "on":
		return true
	}
	return false
}

// String returns the name and how many headers there are.
func (g Generic) String() string { return fmt.Sprintf("%s (%d headers)", g.name, len(g.fields)) }

// Format makes every verb print what String returns.
func (g Generic) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, g.String()) // a fmt.State has nowhere to report to
}
