package main

import "context"

// A Library is one way to talk to Asterisk, called as its own README shows, or a
// bound: what any must do at least.
type Library struct {
	Name  string
	Bound bool

	// Dial logs in. Each event goes to onEvent with the value of its header
	// Channel, from whatever goroutine the library calls its users on.
	Dial func(ctx context.Context, addr string, onEvent func(channel string)) (Session, error)

	// Parse cuts a stream into messages with named values and returns how many;
	// nil if the library offers that to nobody.
	Parse func(stream []byte) int
}

// A Session is a connection that is logged in.
type Session interface {
	// Ping returns when it is answered. Many goroutines may call it.
	Ping(ctx context.Context) error
	// Command returns how many lines of output were kept.
	Command(ctx context.Context) (lines int, err error)
	Close()
}

// libraries are all of them, bounds first.
func libraries() []Library {
	return append(bounds(), ours(), oursTyped(), oursLane(), goami2(), amigo(), heltonmarx())
}

func library(name string) (Library, bool) {
	for _, l := range libraries() {
		if l.Name == name {
			return l, true
		}
	}
	return Library{}, false
}
