package main

import (
	"context"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	peer "github.com/staskobzar/goami2"
)

// goami2 has no answers, only messages: whoever wants them keeps a map, as here.
func goami2() Library {
	return Library{
		Name: "staskobzar/goami2",
		Dial: func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			client, err := peer.NewClient(conn, "user", "secret")
			if err != nil {
				return nil, err
			}
			s := &goami2Session{client: client, answers: map[string]chan *peer.Message{}, done: make(chan struct{})}
			go s.consume(client.AllMessages(), onEvent)
			return s, nil
		},
		Parse: func(stream []byte) int {
			n := 0
			for text := string(stream); text != ""; n++ {
				end := strings.Index(text, "\r\n\r\n") + 4
				m, err := peer.Parse(text[:end])
				if err != nil {
					return n
				}
				runtime.KeepAlive(m)
				text = text[end:]
			}
			return n
		},
	}
}

type goami2Session struct {
	client *peer.Client
	last   atomic.Uint64
	done   chan struct{}

	mu      sync.Mutex
	answers map[string]chan *peer.Message
}

func (s *goami2Session) consume(messages <-chan *peer.Message, onEvent func(string)) {
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return
			}
			if m.IsEvent() {
				if m.Field("Event") == eventName {
					onEvent(m.Field("Channel"))
				}
				continue
			}
			s.mu.Lock()
			answer := s.answers[m.ActionID()]
			delete(s.answers, m.ActionID())
			s.mu.Unlock()
			if answer != nil {
				answer <- m
			}
		case <-s.done:
			return
		}
	}
}

func (s *goami2Session) send(ctx context.Context, a *peer.Message) (*peer.Message, error) {
	id := strconv.FormatUint(s.last.Add(1), 10)
	a.SetField("ActionID", id)
	answer := make(chan *peer.Message, 1)
	s.mu.Lock()
	s.answers[id] = answer
	s.mu.Unlock()
	if err := s.client.MustSend(a.Byte()); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *goami2Session) Ping(ctx context.Context) error {
	_, err := s.send(ctx, peer.NewAction("Ping"))
	return err
}

func (s *goami2Session) Command(ctx context.Context) (int, error) {
	a := peer.NewAction("Command")
	a.AddField("Command", "x")
	m, err := s.send(ctx, a)
	if err != nil {
		return 0, err
	}
	return len(m.FieldValues("Output")), nil
}

func (s *goami2Session) Close() {
	close(s.done)
	s.client.Close()
}
