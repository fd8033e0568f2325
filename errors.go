package ami

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// Errors to compare with errors.Is. They come wrapped with the node and the
// cause.
var (
	// ErrAuth reports that Asterisk refused the login.
	ErrAuth = errors.New("login refused")
	// ErrClosed reports a use after Close or Shutdown, or a second Run.
	ErrClosed = errors.New("ami: client is closed")
	// ErrRemoved reports that a node was taken out of its cluster.
	ErrRemoved = errors.New("the node was removed from its cluster")
	// ErrNoNode reports that there is no node to send to.
	ErrNoNode = errors.New("ami: no such node")
	// ErrShutdown reports that a session ended because Asterisk announced that
	// it shuts down or restarts (event Shutdown).
	ErrShutdown = errors.New("the server announced its shutdown")
	// ErrPermission reports that the user may not use the action, or that the
	// module which has it was unloaded: Asterisk answers both with "Permission
	// denied" (main/manager.c:process_message).
	ErrPermission = errors.New("permission denied")
	// ErrUnknownAction reports that the node's Asterisk does not know the action:
	// it is of another version, or its module was never loaded.
	ErrUnknownAction = errors.New("unknown action")
	// ErrReadIdle reports that nothing was received for the read-idle time.
	ErrReadIdle = errors.New("nothing received within the read-idle time")
	// ErrKeepalive reports that a Ping was not answered in time.
	ErrKeepalive = errors.New("keepalive Ping was not answered in time")
	// ErrEventMask reports that Asterisk would not send events that a subscription
	// wants (see WithEventsOnDemand). The next session asks for them at its login.
	ErrEventMask = errors.New("events that are wanted would not come")
)

// A ConfigError reports a setting that New refuses. Nothing was started. If there
// are several, they come joined: errors.AsType finds the first, Unwrap() []error
// of what was returned has all.
type ConfigError struct {
	Key    string // the field, as "Node.Addr", or the option without With
	Node   string // key of the node, if it is about one
	Place  int    // of the node in the list given to NewCluster or Check, from 1; 0 if there was none
	Value  any    // what was given; never a secret
	Reason string // what is wrong and what is allowed
	Err    error  // the underlying error, if any
}

func (e *ConfigError) Error() string {
	where := ""
	switch {
	case e.Node != "":
		where = "node " + e.Node + ": "
	case e.Place > 0:
		where = fmt.Sprintf("node %d of the list: ", e.Place)
	}
	return fmt.Sprintf("ami: config: %s%s = %v: %s", where, e.Key, e.Value, e.Reason)
}

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }

// An ActionError reports that Asterisk answered with Response: Error.
type ActionError struct {
	Node     string
	Action   string
	ActionID string
	Message  string    // Asterisk's, without line ends and redacted
	Response *Response // all that was received, Command output included
}

func (e *ActionError) Error() string {
	return fmt.Sprintf("ami: node %s: %s (%s): Asterisk says %q", e.Node, e.Action, e.ActionID, e.Message)
}

// Is tells an action that the node does not know (ErrUnknownAction) from one that
// its user may not use (ErrPermission).
func (e *ActionError) Is(target error) bool {
	switch target {
	case ErrPermission:
		return e.Message == "Permission denied"
	case ErrUnknownAction:
		return strings.HasPrefix(e.Message, "Invalid/unknown command:")
	default:
		return false
	}
}

// A NotReadyError reports that the node is not logged in. Nothing was sent.
type NotReadyError struct {
	Node  string
	State State
	Err   error // why: what ended the last session or attempt, or the context's error; may be nil
}

func (e *NotReadyError) Error() string {
	s := fmt.Sprintf("ami: node %s takes no actions, it is %s", e.Node, e.State)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *NotReadyError) Unwrap() error { return e.Err }

// A NoNodeError reports that a cluster has no node for an action, or too few of
// them. Nothing was sent. It is an ErrNoNode.
type NoNodeError struct {
	Key    string // the node that was named and does not exist; "" if none was named
	Action string // "" if no action was to be sent
	Ready  int    // nodes that take actions
	Want   int    // nodes that had to
	Nodes  int    // nodes in the cluster, or of those that Among names
	Err    error  // what else is to say; may be nil
}

func (e *NoNodeError) Error() string {
	s := "ami: "
	if e.Action != "" {
		s += e.Action + ": "
	}
	if e.Key != "" {
		s += fmt.Sprintf("no node %s in the cluster", e.Key)
	} else {
		s += fmt.Sprintf("%d of %d nodes ready, %d needed", e.Ready, e.Nodes, e.Want)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrNoNode and Err.
func (e *NoNodeError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrNoNode}
	}
	return []error{ErrNoNode, e.Err}
}

// A BackpressureError reports that a bounded queue of the node has no room.
// Nothing was sent.
type BackpressureError struct {
	Node     string
	Queue    string // "outbound queue" or "pending actions"
	Depth    int    // entries in it
	Bytes    int64  // bytes in it; 0 for pending actions
	Capacity int    // entries it may hold
}

func (e *BackpressureError) Error() string {
	return fmt.Sprintf("ami: node %s: %s full: %d of %d entries, %d bytes", e.Node, e.Queue, e.Depth, e.Capacity, e.Bytes)
}

// A ConnError reports that a session could not be made, or that it died under
// an action.
type ConnError struct {
	Node string
	Addr string
	// Lane is 0 for the session that has the events, else the number of an
	// action lane.
	Lane int
	// Op is what failed: "resolve", "secret" (Node.SecretFunc), "dial", "tls"
	// (Node.TLSFunc as well), "banner", "login", or "session" for one that had
	// been up. A "session" error is a net.ErrClosed as well.
	Op string
	// Sent tells whether bytes of the action may have reached Asterisk. If
	// not, it was certainly not executed.
	Sent bool
	Err  error
}

func (e *ConnError) Error() string {
	lane := ""
	if e.Lane > 0 {
		lane = fmt.Sprintf(" (lane %d)", e.Lane)
	}
	s := fmt.Sprintf("ami: node %s: %s %s%s: %v", e.Node, e.Op, e.Addr, lane, e.Err)
	if h := hint(e.Op, e.Err); h != "" {
		s += "; " + h
	}
	return s
}

// Unwrap returns Err and, for a session, net.ErrClosed.
func (e *ConnError) Unwrap() []error {
	if e.Op == opSession {
		return []error{e.Err, net.ErrClosed}
	}
	return []error{e.Err}
}

// A TimeoutError reports that an answer was not complete in time: the action's
// own time ended (Err is context.DeadlineExceeded) or the caller's context did
// (Err is its cause).
type TimeoutError struct {
	Node     string
	Action   string
	ActionID string
	Sent     bool      // bytes may have reached Asterisk, which may yet execute it
	Response *Response // what came until then
	Err      error
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("ami: node %s: %s (%s): no complete answer: %v", e.Node, e.Action, e.ActionID, e.Err)
}

// Unwrap returns Err.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout reports whether a deadline, not a cancellation, was the cause.
// Under context.WithTimeoutCause it is a cancellation: its cause tells the rest.
func (e *TimeoutError) Timeout() bool { return errors.Is(e.Err, context.DeadlineExceeded) }

// A MissingResponseError reports that the end of an answer came without the
// Response that must precede it.
type MissingResponseError struct {
	Node     string
	Action   string
	ActionID string
	Response *Response // the events that came
}

func (e *MissingResponseError) Error() string {
	return fmt.Sprintf("ami: node %s: %s (%s): the answer ended without a Response", e.Node, e.Action, e.ActionID)
}

// A TooManyMessagesError reports an answer of more messages than its strategy
// allows.
type TooManyMessagesError struct {
	Node     string
	Action   string
	ActionID string
	Max      int
	Response *Response // the first Max of them
}

func (e *TooManyMessagesError) Error() string {
	return fmt.Sprintf("ami: node %s: %s (%s): more than %d messages in the answer", e.Node, e.Action, e.ActionID, e.Max)
}

// A ProtocolError reports a message that broke a limit and was discarded. It is
// the error of an action whose answer it was, or what ended the session when
// there were too many.
type ProtocolError struct {
	Node     string
	Action   string // empty for a session
	ActionID string
	Err      *frame.FormatError
}

func (e *ProtocolError) Error() string {
	if e.Action == "" {
		return fmt.Sprintf("ami: node %s: too many malformed messages, the last: %v", e.Node, e.Err)
	}
	return fmt.Sprintf("ami: node %s: %s (%s): answer discarded: %v", e.Node, e.Action, e.ActionID, e.Err)
}

// Unwrap returns Err.
func (e *ProtocolError) Unwrap() error { return e.Err }

// SafeToRetry reports whether the action that failed with err was certainly not
// sent, so that sending it again cannot execute it twice. It is false for an
// error that is none of this library's. Of joined errors all must be safe.
func SafeToRetry(err error) bool {
	known, safe := retry(err)
	return known && safe
}

// retry looks for the outermost error of ours and at nothing below it: the
// cause of a cancelled context, say, may be the error of another action.
func retry(err error) (known, safe bool) {
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case *NotReadyError, *NoNodeError, *BackpressureError, *ConfigError,
		*action.InvalidError, *frame.EncodeError, *strategy.ValidationError:
		return true, true
	case *TimeoutError:
		return true, !e.Sent
	case *ConnError:
		return true, !e.Sent
	case *ActionError, *MissingResponseError, *TooManyMessagesError, *ProtocolError:
		return true, false
	case interface{ Unwrap() error }:
		return retry(e.Unwrap())
	case interface{ Unwrap() []error }:
		safe = true
		for _, part := range e.Unwrap() {
			if k, s := retry(part); k {
				known, safe = true, safe && s
			}
		}
	}
	return known, safe
}

// oneLine makes a Message of Asterisk, some of which end in a line feed, fit
// an error text.
func oneLine(s string) string { return strings.TrimSpace(s) }

// keepaliveError says how long was waited.
func keepaliveError(err error, d time.Duration) error { return fmt.Errorf("%w (%v)", err, d) }
