package main

import (
	"bytes"
	"context"
	"runtime"
	"sync"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// limits let the answer to Command through, which is larger than the default
// allows.
var limits = frame.Limits{Command: 8 << 20}

// buffer holds a flood while the machine does something else: what is measured
// is what events cost, not what is dropped.
var buffer = ami.Buffer(1_000_000)

func ours() Library {
	return Library{
		Name: "ami",
		Dial: func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
			return dialOurs(ctx, addr, func(ctx context.Context, c *ami.Client) {
				for e, err := range c.Subscribe(ami.Named(eventName), buffer).All(ctx) {
					if err != nil {
						return
					}
					onEvent(e.Get("Channel"))
				}
			})
		},
		Parse: func(stream []byte) int {
			r := frame.NewReader(bytes.NewReader(stream), frame.Limits{})
			n := 0
			for {
				f, err := r.Next()
				if err != nil {
					return n
				}
				runtime.KeepAlive(f)
				n++
			}
		},
	}
}

// oursTyped decodes every event into its struct.
func oursTyped() Library {
	return Library{
		Name: "ami (typed)",
		Dial: func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
			return dialOurs(ctx, addr, func(ctx context.Context, c *ami.Client) {
				for e, err := range ami.On[event.Newexten](c, buffer).All(ctx) {
					if err != nil {
						return
					}
					onEvent(e.Channel.Name)
				}
			})
		},
	}
}

// oursLane sends actions over a session of their own.
func oursLane() Library {
	return Library{
		Name: "ami (action lane)",
		Dial: func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
			return dialOurs(ctx, addr, func(ctx context.Context, c *ami.Client) {
				for e, err := range c.Subscribe(ami.Named(eventName), buffer).All(ctx) {
					if err != nil {
						return
					}
					onEvent(e.Get("Channel"))
				}
			}, ami.WithActionLanes(1))
		},
	}
}

func dialOurs(ctx context.Context, addr string, consume func(context.Context, *ami.Client), opts ...ami.Option) (Session, error) {
	c, err := ami.Dial(ctx, ami.Node{Key: "pbx1", Addr: addr, Username: "user", Secret: ami.NewSecret("secret")},
		append(opts, ami.WithLimits(limits), ami.WithEventQueue(1_000_000))...)
	if err != nil {
		return nil, err
	}
	s := &ourSession{client: c}
	s.consuming.Go(func() { consume(context.WithoutCancel(ctx), c) })
	return s, nil
}

type ourSession struct {
	client    *ami.Client
	consuming sync.WaitGroup
}

func (s *ourSession) Ping(ctx context.Context) error {
	_, err := s.client.Send(ctx, action.Ping{})
	return err
}

func (s *ourSession) Command(ctx context.Context) (int, error) {
	r, err := ami.Call(ctx, s.client, action.Command{Command: "x"})
	return len(r.Output), err
}

func (s *ourSession) Close() {
	_ = s.client.Close() // always nil
	s.consuming.Wait()
}
