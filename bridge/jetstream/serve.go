package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/apn/ami/bridge"
)

// What a requester sets to tell until when it waits for the answer. HeaderDeadline
// has a time (RFC 3339) and goes before HeaderTimeout, a duration of Go from when
// the request arrives ("2.5s").
const (
	HeaderDeadline = "Ami-Deadline"
	HeaderTimeout  = "Ami-Timeout"
)

const (
	defaultDeadline = 10 * time.Second
	longestDeadline = 5 * time.Minute // a requester cannot occupy a place for longer
	lookInterval    = 500 * time.Millisecond
	waitingRequests = 1024
	flushMost       = time.Second // at the end: others wait for Serve, and have little time
)

// Codes of the answers that Serve gives itself, in the form that package bridge
// gives them: {"ok":false,"error":{"code":"busy","message":"…","retry_safe":true}}.
// The request was not handled, but for CodeAnswer.
const (
	CodeTooLarge = "too_large" // beyond Options.MaxRequest
	CodeBusy     = "busy"      // Options.MaxRequests are handled already, or Serve ends
	CodeDeadline = "deadline"  // the deadline was over when the request arrived
	CodeInvalid  = "invalid"   // the deadline or timeout cannot be read
	CodeAnswer   = "answer"    // it was handled, but the answer is too large for the server
)

// Serve implements bridge.Requester. Requests for a node arrive on
// <prefix>.actions.<node>, those for any node on <prefix>.actions.any, which is
// served while there is a node at all. Of several processes that serve the same
// subject one gets the request. nodes is called twice a second.
//
// The deadline of a request is that of HeaderDeadline or HeaderTimeout, 5 minutes
// at most, and 10 seconds if it has neither. One whose answer would go to a subject
// of the bridge or of the server is not handled: who may only ask must not write
// there by way of the bridge.
//
// Serve has a connection of its own, which is made again whenever it breaks. It
// returns nil when ctx has ended, and ErrClosed after Close, once every request
// that is handled has been answered: at the end of ctx they keep their time, Close
// ends their contexts. Or it returns why it cannot go on: *DeniedError if the
// subjects may not be subscribed to, or a refused login.
func (b *Broker) Serve(ctx context.Context, nodes func() []string, handle func(context.Context, bridge.Request) []byte) error {
	b.closing.RLock()
	if b.ctx.Err() != nil {
		b.closing.RUnlock()
		return ErrClosed
	}
	b.serving.Add(1)
	b.closing.RUnlock()
	defer b.serving.Done()
	parent := ctx
	handling, release := b.bound(context.WithoutCancel(parent))
	defer release()
	handling, end := context.WithCancelCause(handling)
	defer end(nil)
	ctx, leave := context.WithCancelCause(handling)
	defer leave(nil)
	defer context.AfterFunc(parent, func() { leave(context.Cause(parent)) })()

	s := &server{
		Broker: b, ctx: ctx, handling: handling, handle: handle,
		requests: make(chan *nats.Msg, waitingRequests),
		places:   make(chan struct{}, b.o.MaxRequests),
		subs:     make(map[string]*nats.Subscription),
		nodes:    make(map[string]string),
	}
	w := &wire{}
	nc, err := b.o.connect(ctx, w, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if d, publish := denial(err); d != nil && !publish {
				end(d)
				return
			}
			b.o.Logger.Warn("jetstream: the server complains", "error", err)
		}),
		nats.ConnectHandler(func(*nats.Conn) { b.counts.connects.Add(1) }),
		nats.ReconnectHandler(func(*nats.Conn) { b.counts.connects.Add(1) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.o.Logger.Warn("jetstream: requests are not served: the connection was lost", "error", err)
			}
		}),
		nats.ClosedHandler(func(nc *nats.Conn) { end(lost(nc.LastError())) }))
	if err == nil {
		s.nc = nc
		err = s.serve(nodes)
		nc.Close()
	}
	if parent.Err() != nil {
		return nil
	}
	return err
}

// A server is one call of Serve.
type server struct {
	*Broker
	ctx      context.Context // while requests are taken
	handling context.Context // while they are handled
	nc       *nats.Conn
	handle   func(context.Context, bridge.Request) []byte
	requests chan *nats.Msg
	places   chan struct{} // one element for each request that is handled
	running  sync.WaitGroup
	subs     map[string]*nats.Subscription // by subject
	nodes    map[string]string             // by subject, also of those that are no longer served; "" is any
}

func (s *server) serve(nodes func() []string) error {
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	err := s.follow(nodes())
	for err == nil {
		select {
		case <-s.ctx.Done():
			err = context.Cause(s.ctx)
		case <-look.C:
			err = s.follow(nodes())
		case m := <-s.requests:
			s.take(m)
		}
	}
	for _, sub := range s.subs {
		_ = s.unsubscribe(sub) // fails if the connection is gone, and is not needed then
	}
	s.flush("requests")
	for len(s.requests) > 0 {
		if m := <-s.requests; !s.o.own(m.Reply) {
			s.refuse(m, CodeBusy, "this process ends")
		}
	}
	s.running.Wait()
	s.flush("answers")
	return err
}

// flush waits until the server has all that was sent, and everything that it had
// sent before is here.
func (s *server) flush(what string) {
	if !s.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), min(flushMost, s.o.AckTimeout))
	defer cancel()
	if err := s.nc.FlushWithContext(ctx); err != nil {
		s.o.Logger.Warn("jetstream: the last messages may be lost", "messages", what, "error", err)
	}
}

// unsubscribe ends a subscription. What the server sends until it has heard of that
// is still a request, whose sender waits: Unsubscribe of the library would drop it.
func (s *server) unsubscribe(sub *nats.Subscription) error {
	if s.nc.IsConnected() {
		return sub.Drain()
	}
	return sub.Unsubscribe() // so that it is not made again with the connection
}

// follow subscribes to what is served now, and to nothing else.
func (s *server) follow(nodes []string) error {
	serve := make(map[string]bool, len(nodes)+1)
	for _, n := range nodes {
		subject := s.o.actions(n)
		serve[subject], s.nodes[subject] = true, n
	}
	if len(nodes) > 0 {
		serve[s.o.actionsAny()], s.nodes[s.o.actionsAny()] = true, ""
	}
	for subject, sub := range s.subs {
		if !serve[subject] {
			delete(s.subs, subject)
			if err := s.unsubscribe(sub); err != nil {
				return lost(err)
			}
		}
	}
	for subject := range serve {
		if s.subs[subject] != nil {
			continue
		}
		sub, err := s.nc.ChanQueueSubscribe(subject, s.o.Prefix, s.requests)
		if err != nil {
			return lost(err)
		}
		s.subs[subject] = sub
	}
	return nil
}

// take handles a request, or answers why it does not.
func (s *server) take(m *nats.Msg) {
	if s.o.own(m.Reply) {
		s.o.Logger.Warn("jetstream: a request wants its answer where none belongs: it is not handled", "subject", m.Subject, "reply", m.Reply)
		return
	}
	if len(m.Data) > s.o.MaxRequest {
		s.refuse(m, CodeTooLarge, fmt.Sprintf("a request has %d bytes at most", s.o.MaxRequest))
		return
	}
	now := time.Now()
	deadline, err := deadlineOf(m.Header, now)
	if err != nil {
		s.refuse(m, CodeInvalid, err.Error())
		return
	}
	if !deadline.After(now) {
		s.refuse(m, CodeDeadline, "the deadline is over")
		return
	}
	r := bridge.Request{Node: s.nodes[m.Subject], Data: m.Data}
	select {
	case s.places <- struct{}{}:
	default:
		s.refuse(m, CodeBusy, fmt.Sprintf("%d requests are handled already", s.o.MaxRequests))
		return
	}
	s.running.Go(func() {
		defer func() { <-s.places }()
		ctx, cancel := context.WithDeadline(s.handling, deadline)
		defer cancel()
		s.answer(m, s.handle(ctx, r))
	})
}

// deadlineOf tells until when a requester waits.
func deadlineOf(h nats.Header, now time.Time) (time.Time, error) {
	at := now.Add(defaultDeadline)
	if text := h.Get(HeaderDeadline); text != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return at, errors.New(HeaderDeadline + " must be a time of RFC 3339")
		}
	} else if text := h.Get(HeaderTimeout); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return at, errors.New(HeaderTimeout + " must be a duration as 2.5s")
		}
		at = now.Add(min(d, longestDeadline))
	}
	if longest := now.Add(longestDeadline); at.After(longest) {
		at = longest
	}
	return at, nil
}

func (s *server) refuse(m *nats.Msg, code, message string) { s.answer(m, failure(code, message)) }

// failure is an answer that reports a failure.
func failure(code, message string) []byte {
	type problem struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RetrySafe bool   `json:"retry_safe"`
	}
	data, _ := json.Marshal(struct { // of texts and truth values: never fails
		OK    bool    `json:"ok"`
		Error problem `json:"error"`
	}{Error: problem{code, message, code != CodeAnswer}})
	return data
}

// answer sends what the requester gets, if it wants an answer.
func (s *server) answer(m *nats.Msg, data []byte) {
	if m.Reply == "" {
		return
	}
	err := s.nc.Publish(m.Reply, data)
	if errors.Is(err, nats.ErrMaxPayload) {
		err = s.nc.Publish(m.Reply, failure(CodeAnswer, fmt.Sprintf("the answer has %d bytes, more than the server takes", len(data))))
	}
	if err != nil {
		s.o.Logger.Warn("jetstream: an answer was lost", "subject", m.Subject, "error", err)
	}
}
