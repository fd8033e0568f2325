package amitest

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Faults is what goes wrong on one connection. The zero value is a healthy
// one. Give it to new connections with [Server.SetFaults] or
// [Server.OnConnect], to a living one with [Session.SetFaults].
type Faults struct {
	// Refuse refuses the connection; on TCP it is accepted and reset.
	Refuse bool
	// ConnectDelay passes before the connection stands.
	ConnectDelay time.Duration
	// HalfOpen accepts the connection and then does nothing with it.
	HalfOpen bool
	// BannerDelay passes before the banner.
	BannerDelay time.Duration
	// LoginDelay passes before a Login is looked at.
	LoginDelay time.Duration
	// LoginError refuses every Login with this message.
	LoginError string
	// AnswerDelay passes before each action.
	AnswerDelay time.Duration

	// SplitEvery cuts what is written into pieces of so many bytes, with
	// SplitPause between them.
	SplitEvery int
	SplitPause time.Duration
	// Rewrite changes the messages before they are written, in this order.
	Rewrite []Rewrite

	// CloseAfterBytes closes the connection after so many bytes from the
	// server, ResetAfterBytes resets it.
	CloseAfterBytes, ResetAfterBytes int64
	// ResetOnAction resets the connection when the n-th action has arrived (1
	// is the first, commonly Login); it is not executed. ResetAfterAction
	// executes it, but resets in place of the answer.
	ResetOnAction, ResetAfterAction int
	// SilentAfterAction executes the n-th action and all that follow, but
	// sends nothing any more, as if the network swallowed it.
	SilentAfterAction int
}

func (f *Faults) cutAfter() int64 {
	if f.ResetAfterBytes > 0 {
		return f.ResetAfterBytes
	}
	return f.CloseAfterBytes
}

// SetFaults gives the faults to all connections that are made from now on.
func (srv *Server) SetFaults(f Faults) { srv.OnConnect(func(int) Faults { return f }) }

// OnConnect asks for the faults of each new connection, counted from 1 since
// the server was made; nil means none. It may be called by several goroutines
// at once.
func (srv *Server) OnConnect(faults func(n int) Faults) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.faults = faults
}

// SetFaults replaces the faults of a living session, as far as they still
// matter. Counts go on from the start of the connection.
func (s *Session) SetFaults(f Faults) {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	s.faults = f
}

// Silence makes the session execute actions without sending anything, or end
// that: what it would have sent meanwhile is lost.
func (s *Session) Silence(on bool) { s.mute(on) }

func (s *Session) currentFaults() Faults {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	return s.faults
}

// Rewrite returns what is written in place of the n-th message of a
// connection. The banner is number 0. It must not change msg itself.
type Rewrite func(n int, msg []byte) []byte

// InsertBefore writes garbage before the n-th message.
func InsertBefore(n int, garbage []byte) Rewrite {
	return func(i int, msg []byte) []byte {
		if i != n {
			return msg
		}
		return slices.Concat(garbage, msg)
	}
}

// InsertAfter writes garbage after the n-th message.
func InsertAfter(n int, garbage []byte) Rewrite {
	return func(i int, msg []byte) []byte {
		if i != n {
			return msg
		}
		return slices.Concat(msg, garbage)
	}
}

// Truncate writes only the first keep bytes of the n-th message; what follows
// is glued to it.
func Truncate(n, keep int) Rewrite {
	return func(i int, msg []byte) []byte {
		if i != n {
			return msg
		}
		return msg[:min(keep, len(msg))]
	}
}

// Oversize adds a header line with a value of size bytes to the n-th message.
func Oversize(n, size int) Rewrite {
	return func(i int, msg []byte) []byte {
		if i != n {
			return msg
		}
		b := bytes.TrimSuffix(slices.Clone(msg), []byte("\r\n"))
		return appendEnd(appendHeader(b, "Oversize", strings.Repeat("x", size)))
	}
}

// Duplicate writes every response twice.
func Duplicate() Rewrite {
	return func(_ int, msg []byte) []byte {
		if !bytes.HasPrefix(msg, []byte("Response:")) {
			return msg
		}
		return slices.Concat(msg, msg)
	}
}

// Foreign writes a response with the given ActionID, which nobody asked for,
// before every response.
func Foreign(actionID string) Rewrite {
	stray := []byte("Response: Success\r\nActionID: " + actionID + "\r\nMessage: Not yours\r\n\r\n")
	return func(_ int, msg []byte) []byte {
		if !bytes.HasPrefix(msg, []byte("Response:")) {
			return msg
		}
		return slices.Concat(stray, msg)
	}
}
