package main

import (
	"context"
	"errors"
	"sync"

	peer "github.com/heltonmarx/goami/ami"
)

// heltonmarx has functions over a socket, for one goroutine: with many callers
// there is a lock, and events are read by a loop of its user, who can send
// nothing meanwhile.
func heltonmarx() Library {
	return Library{
		Name: "heltonmarx/goami",
		Dial: func(_ context.Context, addr string, onEvent func(string)) (Session, error) {
			socket, err := peer.NewSocket(addr)
			if err != nil {
				return nil, err
			}
			if _, err := peer.Connect(socket); err != nil {
				return nil, err
			}
			if ok, err := peer.Login(socket, "user", "secret", "system,call,all,user", "login"); !ok {
				return nil, errors.Join(errors.New("login refused"), err)
			}
			return &heltonmarxSession{socket: socket, onEvent: onEvent}, nil
		},
	}
}

type heltonmarxSession struct {
	mu      sync.Mutex
	socket  *peer.Socket
	onEvent func(string)
}

func (s *heltonmarxSession) Ping(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok, err := peer.Ping(s.socket, "1")
	if err == nil && !ok {
		err = errors.New("no answer")
	}
	return err
}

func (s *heltonmarxSession) Command(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := peer.Command(s.socket, "1", "x")
	if err != nil || m["Output"] == "" {
		return 0, err
	}
	return 1, nil
}

// Events reads n events.
func (s *heltonmarxSession) Events(n int) error {
	for n > 0 {
		m, err := peer.GetEvents(s.socket)
		if err != nil {
			return err
		}
		if len(m) == 0 {
			return errors.New("the stream has ended")
		}
		if m["Event"] == eventName {
			s.onEvent(m["Channel"])
			n--
		}
	}
	return nil
}

func (s *heltonmarxSession) Close() { _ = s.socket.Disconnect() }
