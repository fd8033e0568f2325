package main

import (
	"context"
	"errors"
	"net"
	"time"

	peer "github.com/ivahaev/amigo"
)

func amigo() Library {
	return Library{
		Name: "ivahaev/amigo",
		Dial: func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			a := peer.New(&peer.Settings{Username: "user", Password: "secret", Host: host, Port: port})
			connected := make(chan struct{}, 1)
			a.On("connect", func(string) { connected <- struct{}{} })
			if err := a.RegisterHandler(eventName, func(m map[string]string) { onEvent(m["Channel"]) }); err != nil {
				return nil, err
			}
			a.Connect()
			select {
			case <-connected:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			for !a.Connected() { // it says so a moment later
				time.Sleep(time.Millisecond)
			}
			return amigoSession{a}, nil
		},
	}
}

type amigoSession struct{ client *peer.Amigo }

func (s amigoSession) act(a map[string]string) (map[string]string, error) {
	m, err := s.client.Action(a)
	if err == nil && m["Error"] != "" {
		err = errors.New(m["Error"])
	}
	return m, err
}

func (s amigoSession) Ping(context.Context) error {
	_, err := s.act(map[string]string{"Action": "Ping"})
	return err
}

// Command has a map for an answer, in which one line of many is left.
func (s amigoSession) Command(context.Context) (int, error) {
	m, err := s.act(map[string]string{"Action": "Command", "Command": "x"})
	if err != nil || m["Output"] == "" {
		return 0, err
	}
	return 1, nil
}

func (s amigoSession) Close() { s.client.Close() }
