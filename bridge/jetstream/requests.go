package jetstream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/apn/ami/bridge"
)

// HeaderTimeout is the header of a request that says how long its sender waits, as
// a duration: "5s". Without it Options.RequestTimeout holds.
const HeaderTimeout = "Ami-Timeout"

// queue has one of many processes get a request for any node.
const queue = "ami"

// lookEvery is how often the nodes that are served are asked for.
const lookEvery = time.Second

// Serve implements bridge.Requester.
func (b *Broker) Serve(ctx context.Context, nodes func() []string, handle func(context.Context, bridge.Request) []byte) error {
	s := &server{broker: b, ctx: ctx, handle: handle, subs: make(map[string]*nats.Subscription)}
	defer s.running.Wait()
	defer s.close()
	if err := s.subscribe("", b.options.Prefix+".do.any"); err != nil {
		return err
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if err := s.follow(nodes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// A server has the subscriptions of one Serve.
type server struct {
	broker *Broker
	ctx    context.Context //nolint:containedctx // of Serve, for the handlers
	handle func(context.Context, bridge.Request) []byte
	subs   map[string]*nats.Subscription // by node, "" for any

	mu      sync.Mutex
	over    bool
	running sync.WaitGroup // begun under mu
}

// follow subscribes for nodes that came and unsubscribes for those that went.
func (s *server) follow(nodes []string) error {
	now := map[string]bool{"": true}
	for _, node := range nodes {
		now[node] = true
		if s.subs[node] == nil {
			if err := s.subscribe(node, s.broker.options.Prefix+".do."+token(node)); err != nil {
				return err
			}
		}
	}
	for node, sub := range s.subs {
		if !now[node] {
			_ = sub.Unsubscribe() // the connection has gone, and it with it
			delete(s.subs, node)
		}
	}
	return nil
}

func (s *server) subscribe(node, subject string) error {
	sub, err := s.broker.nc.QueueSubscribe(subject, queue, func(m *nats.Msg) {
		if m.Reply == "" {
			return // nobody to answer: an action must not be executed unheard
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.over { // the last ones may come after the end of the subscription
			s.running.Go(func() { s.answer(node, m) })
		}
	})
	if err == nil {
		s.subs[node] = sub
	}
	return err
}

func (s *server) answer(node string, m *nats.Msg) {
	timeout := s.broker.options.RequestTimeout
	if d, err := time.ParseDuration(m.Header.Get(HeaderTimeout)); err == nil && d > 0 {
		timeout = d
	}
	// What was begun is finished although Serve ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), timeout)
	defer cancel()
	if err := m.Respond(s.handle(ctx, bridge.Request{Node: node, Data: m.Data})); err != nil {
		s.broker.log.Warn("the answer to a request was not sent", "node", node, "error", err)
	}
}

func (s *server) close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // as in follow
	}
}
