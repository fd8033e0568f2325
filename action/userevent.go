package action

import (
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

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

// Decode implements Typed.
func (UserEvent) Decode(a Answer) Success { return Success{a} }
