package amitest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apn/ami/frame"
)

// HandlerFunc executes an action. While it runs, its session does nothing
// else. It need not answer: the Call stays valid after it returned and may be
// answered later by any goroutine, out of order, or never.
type HandlerFunc func(c *Call)

// Call is one action of a session and the means to answer it. Its methods may
// be called by several goroutines at once; each message is written as a whole.
type Call struct {
	session *Session
	request request
	action  string
	id      string
	entry   *Entry // nil without a ledger
	closing atomic.Bool
}

// Session is the connection that the action came from.
func (c *Call) Session() *Session { return c.session }

// Action is the name of the action as the client wrote it.
func (c *Call) Action() string { return c.action }

// ActionID is the client's ActionID, empty if it sent none.
func (c *Call) ActionID() string { return c.id }

// String returns the name of the action and the ActionID.
func (c *Call) String() string { return c.action + " (" + c.id + ")" }

// Format makes every verb print what String returns: headers may be secrets.
func (c *Call) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// Get returns the first value of the header, empty if there is none. The name
// is matched without regard to case, as Asterisk does it.
func (c *Call) Get(name string) string { return c.request.get(name) }

// Values returns all values of the header.
func (c *Call) Values(name string) []string { return c.request.values(name) }

// Fields returns all headers in order, Action and ActionID included.
func (c *Call) Fields() []frame.Field { return c.request.fields() }

// Context ends with the session.
func (c *Call) Context() context.Context { return c.session.ctx }

// Wait blocks the session, as a slow action does, and tells whether it is
// still there afterwards.
func (c *Call) Wait(d time.Duration) bool { return sleep(c.session.ctx, d) }

// Success answers Response: Success with the message, if any, and the fields.
func (c *Call) Success(message string, fields ...frame.Field) {
	c.respond("Success", message, fields)
}

// Error answers Response: Error with the message.
func (c *Call) Error(message string) { c.respond("Error", message, nil) }

// Respond answers Response: Success with the fields and no Message.
func (c *Call) Respond(fields ...frame.Field) { c.respond("Success", "", fields) }

// respond has the order of astman_send_response_full.
func (c *Call) respond(response, message string, fields []frame.Field) {
	b := c.head("Response", response)
	if message != "" {
		b = appendHeader(b, "Message", message)
	}
	c.session.srv.answered(c, response, message)
	c.Raw(appendEnd(appendFields(b, fields)))
}

// head is the first header and the ActionID, if the action had one.
func (c *Call) head(name, value string) []byte {
	b := appendHeader(make([]byte, 0, 256), name, value)
	if c.id != "" {
		b = appendHeader(b, "ActionID", c.id)
	}
	return b
}

// ListStart answers as a list does: EventList: start and the message.
func (c *Call) ListStart(message string) {
	b := appendHeader(c.head("Response", "Success"), "EventList", "start")
	c.session.srv.answered(c, "Success", message)
	c.Raw(appendEnd(appendHeader(b, "Message", message)))
}

// ListComplete sends the event that ends a list of n items; the fields follow
// ListItems.
func (c *Call) ListComplete(event string, n int, fields ...frame.Field) {
	b := appendHeader(c.head("Event", event), "EventList", "Complete")
	b = appendFields(b, []frame.Field{number("ListItems", n)})
	c.Raw(appendEnd(appendFields(b, fields)))
}

// Event sends an event to this session alone, as list handlers do: with the
// ActionID after the name and without Privilege. An ActionID of more than 243
// bytes loses its line end in Asterisk's buffer, here too.
func (c *Call) Event(name string, fields ...frame.Field) {
	c.item(name, 256, fields)
}

// item is Event for a handler with an ActionID buffer of the given size.
func (c *Call) item(name string, buffer int, fields []frame.Field) {
	b := appendHeader(make([]byte, 0, 512), "Event", name)
	b = append(b, c.idText(buffer)...)
	c.Raw(appendEnd(appendFields(b, fields)))
}

// EventIDLast is Event with the ActionID behind the fields, as the items of
// Status, QueueStatus and DBGet have it.
func (c *Call) EventIDLast(name string, fields ...frame.Field) {
	b := appendHeader(make([]byte, 0, 512), "Event", name)
	b = appendFields(b, fields)
	c.Raw(appendEnd(append(b, c.idText(256)...)))
}

// idText is what handlers prepare with snprintf into a buffer of fixed size: an
// ActionID that is too long is cut and loses its line end.
func (c *Call) idText(buffer int) string {
	if c.id == "" {
		return ""
	}
	text := "ActionID: " + c.id + "\r\n"
	return text[:min(len(text), buffer-1)]
}

// Raw writes bytes as they are.
func (c *Call) Raw(b []byte) { _ = c.session.write(b) }

// Broadcast is [Server.Broadcast].
func (c *Call) Broadcast(event string, classes Class, fields ...frame.Field) {
	c.session.srv.Broadcast(event, classes, fields...)
}

// CloseSession ends the session after this action, as an action that returns
// non-zero does in Asterisk.
func (c *Call) CloseSession() { c.closing.Store(true) }

// is compares a header with a value, without regard to case.
func (c *Call) is(name, value string) bool { return strings.EqualFold(c.Get(name), value) }
