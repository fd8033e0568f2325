package amiotel

import (
	"context"
	"errors"
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/apn/ami"
	"github.com/apn/ami/telemetry/internal/measure"
)

// begunKey is the key of the *begun in the context of an action. Each Observer
// has its own.
type begunKey struct{ observer *Observer }

// A begun is the span of an action that has not ended.
type begun struct {
	span   trace.Span
	parent context.Context //nolint:containedctx // the caller's, for the span of the outcome
}

// start begins the span of an action.
func (o *Observer) start(ctx context.Context, node, action string) context.Context {
	b := &begun{parent: ctx}
	ctx, b.span = o.tracer.Start(ctx, spanName(action),
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(o.attributes(node, action)...))
	return context.WithValue(ctx, begunKey{o}, b)
}

// end ends the span of an action. If that completes by an event later, it ended
// when it was accepted, and the rest is a span of its own: not a child, which
// would outlast its parent, but linked.
func (o *Observer) end(ctx context.Context, e *ami.ActionEnd) {
	b, ok := ctx.Value(begunKey{o}).(*begun)
	if !ok {
		return // another observer has replaced the context
	}
	id := []attribute.KeyValue{actionIDKey.String(e.ActionID), sentKey.Bool(e.Sent)}
	if e.ActionID == "" {
		id = id[1:]
	}
	b.span.SetAttributes(id...)
	if e.Accepted.IsZero() {
		fail(b.span, e.Err)
		b.span.End(trace.WithTimestamp(e.Ended))
		return
	}
	b.span.End(trace.WithTimestamp(e.Accepted))
	_, outcome := o.tracer.Start(b.parent, spanName(e.Action)+" outcome",
		trace.WithTimestamp(e.Accepted),
		trace.WithSpanKind(trace.SpanKindInternal), // no request of its own
		trace.WithLinks(trace.Link{SpanContext: b.span.SpanContext()}),
		trace.WithAttributes(o.attributes(e.Node, e.Action)...),
		trace.WithAttributes(id...))
	fail(outcome, e.Err)
	outcome.End(trace.WithTimestamp(e.Ended))
}

// attributes are those that a span begins with: samplers see them.
func (o *Observer) attributes(node, action string) []attribute.KeyValue {
	list := append(make([]attribute.KeyValue, 0, 4), nodeKey.String(node), actionKey.String(action))
	find := o.find.Load()
	if find == nil {
		return list
	}
	addr, ok := (*find)(node)
	host, port, err := net.SplitHostPort(addr)
	number, portErr := strconv.Atoi(port)
	if !ok || err != nil || portErr != nil { // it has just been removed
		return list
	}
	return append(list, attribute.String("server.address", host), attribute.Int("server.port", number))
}

// spanName is bounded: metrics are made of the names of spans.
func spanName(action string) string { return "ami " + measure.Action(action) }

// fail marks a span whose action has failed.
func fail(s trace.Span, err error) {
	outcome := measure.OutcomeOf(err)
	if outcome == measure.OK {
		return
	}
	s.SetAttributes(errorType(outcome.String()))
	s.SetStatus(codes.Error, describe(outcome, err))
}

// describe says how an action failed in words of this library. What Asterisk says
// may repeat what was sent, and so hold a secret that nobody knows for one.
func describe(outcome measure.Outcome, err error) string {
	switch {
	case outcome != measure.Refused:
		return descriptions[outcome]
	case errors.Is(err, ami.ErrPermission):
		return "Asterisk refused the action: permission denied"
	case errors.Is(err, ami.ErrUnknownAction):
		return "Asterisk refused the action: unknown action"
	default:
		return "Asterisk refused the action"
	}
}

var descriptions = map[measure.Outcome]string{
	measure.Timeout:      "no complete answer in time",
	measure.Canceled:     "the caller gave up",
	measure.NotReady:     "the node takes no actions",
	measure.NoNode:       "no such node",
	measure.Backpressure: "a queue of the node is full",
	measure.Connection:   "the session died",
	measure.Invalid:      "the action cannot be sent",
	measure.Protocol:     "the answer was not what it should be",
	measure.Unknown:      "the action failed",
}
