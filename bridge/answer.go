package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// A code says in one word why a request failed.
type code string

// The codes.
const (
	codeUnknownNode   code = "unknown_node"   // the cluster, or this process, has no such node
	codeUnknownAction code = "unknown_action" // Asterisk has no such action
	codeNotAllowed    code = "not_allowed"    // Options.Allow does not permit it
	codeBadRequest    code = "bad_request"    // the request cannot be an action
	codeTooLarge      code = "too_large"      // the request, or the answer
	codeDeadline      code = "deadline"       // no whole answer in time
	codeRefused       code = "refused"        // Asterisk said no
	codeNotReady      code = "not_ready"      // the node is not logged in; without a node: none is
	codeBusy          code = "busy"           // too much at a time, for the bridge or the node
	codeLost          code = "lost"           // the session died, or the answer was not what it should be
)

// codeOf puts the error of an action into a code.
func codeOf(err error) code {
	// Not errors.As: what an error wraps, the cause of a context say, may be the
	// error of another action.
	switch e := err.(type) { //nolint:errorlint // what it wraps may be of another action
	case *askError:
		return e.code
	case *ami.NoNodeError:
		if e.Key != "" {
			return codeUnknownNode
		}
		return codeNotReady
	case *ami.NotReadyError:
		return codeNotReady
	case *ami.BackpressureError:
		return codeBusy
	case *ami.TimeoutError:
		return codeDeadline
	case *ami.ActionError:
		if errors.Is(e, ami.ErrUnknownAction) {
			return codeUnknownAction
		}
		return codeRefused
	case *ami.TooManyMessagesError:
		return codeTooLarge
	case *ami.ConfigError, *action.InvalidError, *frame.EncodeError, *strategy.ValidationError:
		return codeBadRequest
	default: // *ami.ConnError, *ami.ProtocolError, *ami.MissingResponseError
		return codeLost
	}
}

// requests answers requests for actions.
type requests struct {
	cluster *ami.Cluster
	rules   map[string]*rule
	most    int // bytes of an answer
	count   func(outcome string)
}

// handle answers one request. ctx ends at the requester's deadline.
func (q *requests) handle(ctx context.Context, r Request) []byte {
	a, err := parseAsk(r.Data)
	if err != nil {
		return q.failed(r.Node, nil, err)
	}
	switch {
	case a.node == "":
		a.node = r.Node
	case r.Node != "" && r.Node != a.node:
		return q.failed(r.Node, nil, malformed("it was sent to node %s and names node %q", r.Node, clip(a.node)))
	}
	if _, ok := q.cluster.Node(a.node); a.node != "" && !ok {
		return q.failed("", nil, &askError{code: codeUnknownNode, text: fmt.Sprintf("there is no node %q", clip(a.node))})
	}
	where, err := q.where(a)
	if err != nil {
		return q.failed(a.node, nil, err)
	}
	act, err := a.build()
	if err != nil {
		return q.failed(a.node, nil, err)
	}
	opts := []ami.SendOption{where}
	if a.timeout > 0 {
		opts = append(opts, ami.Timeout(a.timeout))
	}
	response, err := q.cluster.Send(ctx, act, opts...)
	if err != nil {
		return q.failed(a.node, responseOf(err), err)
	}
	return q.answer(response)
}

// where says to which nodes the action may go.
func (q *requests) where(a *ask) (ami.SendOption, error) {
	if err := a.allowed(q.rules, a.node); err != nil {
		return nil, err
	}
	if a.node != "" {
		return ami.To(a.node), nil
	}
	var among []string
	var refused error
	for key := range q.cluster.Nodes() {
		if q.rules[key] != nil { // else it has what any has
			if err := a.allowed(q.rules, key); err != nil {
				refused = err
				continue
			}
		}
		among = append(among, key)
	}
	if len(among) == 0 && refused != nil {
		return nil, refused
	}
	return ami.Among(among...), nil
}

// responseOf is the answer that came with an error.
func responseOf(err error) *ami.Response {
	if e, ok := err.(*ami.ActionError); ok { //nolint:errorlint // what it wraps may be of another action
		return e.Response
	}
	return nil
}

// answer is that to an action that went well.
func (q *requests) answer(r *ami.Response) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"ok":true,"node":`...)
	b = appendText(b, r.Node)
	if b = q.response(b, r); len(b) >= q.most {
		return q.failed(r.Node, nil, &askError{code: codeTooLarge, text: fmt.Sprintf("the answer has more than %d bytes; the action was executed", q.most), executed: true})
	}
	q.count("ok")
	return append(b, '}')
}

// response appends what Asterisk said, until it is too much.
func (q *requests) response(b []byte, r *ami.Response) []byte {
	b = append(b, `,"action_id":`...)
	b = appendText(b, r.ActionID)
	b = append(b, `,"response":`...)
	b = appendHeaders(b, r.Frame)
	for i, item := range r.Items {
		if i == 0 {
			b = append(b, `,"items":[`...)
		} else {
			b = append(b, ',')
		}
		if b = appendHeaders(b, item); len(b) > q.most {
			return b
		}
	}
	if len(r.Items) > 0 {
		b = append(b, ']')
	}
	if r.End != nil {
		b = append(b, `,"end":`...)
		b = appendHeaders(b, r.End)
	}
	if r.Partial {
		b = append(b, `,"partial":true`...)
	}
	return b
}

// failed is the answer to a request that failed. r is what Asterisk said, nil if
// nothing.
func (q *requests) failed(node string, r *ami.Response, err error) []byte {
	why := codeOf(err)
	q.count(string(why))
	safe := ami.SafeToRetry(err)
	if e, ok := err.(*askError); ok { //nolint:errorlint // it is never wrapped
		safe = !e.executed
	}
	b := append(make([]byte, 0, 256), `{"ok":false`...)
	if node == "" && r != nil {
		node = r.Node
	}
	if node != "" {
		b = append(b, `,"node":`...)
		b = appendText(b, node)
	}
	b = append(b, `,"error":{"code":"`...)
	b = append(b, why...)
	b = append(b, `","message":`...)
	b = appendText(b, strings.TrimPrefix(err.Error(), "ami: "))
	b = append(b, `,"retry_safe":`...)
	if safe {
		b = append(b, `true}`...)
	} else {
		b = append(b, `false}`...)
	}
	if r != nil {
		if full := q.response(b, r); len(full) < q.most {
			b = full
		}
	}
	return append(b, '}')
}
