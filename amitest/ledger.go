package amitest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// Entry is one action that the server received completely.
type Entry struct {
	// Session is the ID of the session, Number counts its actions from 1.
	Session, Number int
	Time            time.Time
	Action          string
	ActionID        string
	Fields          []frame.Field
	// Executed tells whether a handler ran: an action that was refused, cannot
	// be parsed, or was not reached before the connection ended is not
	// executed.
	Executed bool
	// Outcome is the first Response that was given (Success, Error, Goodbye,
	// Follows), empty if there was none; Message is its Message. The answer
	// was given, but whether it arrived nobody knows.
	Outcome, Message string
}

// ledger is guarded by the server's mutex.
type ledger struct {
	off     bool
	entries []*Entry
	counts  map[string]int // received, by lower-case action name
}

// Ledger returns all actions received so far, in order.
func (srv *Server) Ledger() []Entry {
	return srv.entries(func(*Entry) bool { return true })
}

// LedgerOf returns the actions received from the session with the ID.
func (srv *Server) LedgerOf(session int) []Entry {
	return srv.entries(func(e *Entry) bool { return e.Session == session })
}

func (srv *Server) entries(want func(*Entry) bool) []Entry {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var entries []Entry
	for _, e := range srv.ledger.entries {
		if want(e) {
			entries = append(entries, *e)
		}
	}
	return entries
}

// record enters an action that has just arrived.
func (srv *Server) record(c *Call) *Entry {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	defer srv.touchLocked()
	l := &srv.ledger
	if l.counts == nil {
		l.counts = make(map[string]int)
	}
	l.counts[strings.ToLower(c.action)]++
	if l.off {
		return nil
	}
	e := &Entry{
		Session: c.session.id, Number: c.session.actions, Time: time.Now(),
		Action: c.action, ActionID: c.id, Fields: c.request.fields(),
	}
	l.entries = append(l.entries, e)
	return e
}

// executed notes that the handler runs.
func (srv *Server) executed(c *Call) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if c.entry != nil {
		c.entry.Executed = true
	}
}

// answered notes the first answer.
func (srv *Server) answered(c *Call, outcome, message string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if c.entry != nil && c.entry.Outcome == "" {
		c.entry.Outcome, c.entry.Message = outcome, message
	}
	srv.touchLocked()
}

// WaitAction waits until n actions of that name have been received, on all
// sessions together. It ends with the error of ctx, or nil.
func (srv *Server) WaitAction(ctx context.Context, name string, n int) error {
	name = strings.ToLower(name)
	return srv.wait(ctx, func() bool { return srv.ledger.counts[name] >= n })
}

// WaitSessions waits until exactly n sessions are logged in.
func (srv *Server) WaitSessions(ctx context.Context, n int) error {
	return srv.wait(ctx, func() bool {
		in := 0
		for _, s := range srv.sessions {
			if s.user.Load() != nil {
				in++
			}
		}
		return in == n
	})
}

// WaitConnections waits until exactly n connections stand, logged in or not.
func (srv *Server) WaitConnections(ctx context.Context, n int) error {
	return srv.wait(ctx, func() bool { return len(srv.sessions) == n })
}

// WaitLedger waits until some entry of the ledger is as wanted and returns it.
// want must not call methods of the server.
func (srv *Server) WaitLedger(ctx context.Context, want func(Entry) bool) (found Entry, err error) {
	err = srv.wait(ctx, func() bool {
		i := slices.IndexFunc(srv.ledger.entries, func(e *Entry) bool { return want(*e) })
		if i >= 0 {
			found = *srv.ledger.entries[i]
		}
		return i >= 0
	})
	return found, err
}

// wait waits until done, which is called with the mutex held.
func (srv *Server) wait(ctx context.Context, done func() bool) error {
	for {
		srv.mu.Lock()
		if done() {
			srv.mu.Unlock()
			return nil
		}
		if srv.changed == nil {
			srv.changed = make(chan struct{})
		}
		changed := srv.changed
		srv.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// touch wakes those who wait for a change.
func (srv *Server) touch() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.touchLocked()
}

func (srv *Server) touchLocked() {
	if srv.changed != nil {
		close(srv.changed)
		srv.changed = nil
	}
}
