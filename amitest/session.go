package amitest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Session is one connection to the server. Its methods may be called by
// several goroutines at once.
type Session struct {
	srv    *Server
	id     int
	raw    net.Conn // the transport
	conn   net.Conn // raw, or TLS over it
	frames *records // under TLS: what poll(2) sees; else nil
	ctx    context.Context
	cancel context.CancelFunc // the session ends after what it does now

	user      atomic.Pointer[User] // nil before login
	events    events
	writing   chan struct{} // one slot, held by whoever writes
	out       output        // of the holder of writing
	faultsMu  sync.Mutex
	faults    Faults
	counted   bool   // among the connections without login; under srv.mu
	challenge string // of the session's goroutine

	// Of the session's goroutine and the reader it feeds.
	input   lineBuffer
	readReq chan int       // to the reader: read at most this much
	readRes chan readEvent // from the reader: one per request
	readBuf [maxLine]byte  // filled by the reader between request and result
	reading bool           // a request is out
	started time.Time
	actions int // complete actions so far
}

type readEvent struct {
	n   int
	err error
}

var errEnded = errors.New("amitest: session ended")

// String returns the session's number.
func (s *Session) String() string { return fmt.Sprintf("session %d", s.id) }

// Format makes every verb print what String returns.
func (s *Session) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, s.String()) // a fmt.State has nowhere to report to
}

// ID counts the server's connections from 1.
func (s *Session) ID() int { return s.id }

// User returns the name of the user, empty before login.
func (s *Session) User() string {
	if u := s.user.Load(); u != nil {
		return u.Name
	}
	return ""
}

// RemoteAddr is the address of the client.
func (s *Session) RemoteAddr() net.Addr { return s.raw.RemoteAddr() }

// serve runs the session to its end.
func (s *Session) serve() {
	defer s.srv.leave(s)
	defer s.kill()
	f := s.currentFaults()
	if f.HalfOpen {
		<-s.ctx.Done()
		return
	}
	if s.srv.certs != nil && !s.handshake() {
		return
	}
	if !s.srv.admit(s) {
		return
	}
	s.srv.wg.Go(s.readLoop)
	defer close(s.readReq)
	if !sleep(s.ctx, f.BannerDelay) {
		return
	}
	cfg := &s.srv.cfg
	if cfg.banner != "" && s.write([]byte(cfg.banner+"\r\n")) != nil {
		return
	}
	if cfg.replay != nil {
		cfg.replay.play(s)
	} else {
		s.run()
	}
	_ = s.conn.Close() // under TLS with its farewell
}

// run is do_message of main/manager.c in a loop: events go out whenever no
// action runs, lines are collected until a blank one, the action is executed.
func (s *Session) run() {
	var r request
	for {
		if s.flush() != nil || s.ctx.Err() != nil {
			return
		}
		line, ok := s.input.next()
		switch {
		case !ok:
			if s.fill(s.events.notify, nil) != nil {
				return
			}
		case line != "":
			r.add(line)
		default:
			if !s.execute(&r) {
				return
			}
			r = request{}
		}
	}
}

// fill waits for input, for wake or for late. It ends with the session, and
// when there was no login in time.
func (s *Session) fill(wake <-chan struct{}, late <-chan time.Time) error {
	var authTimeout <-chan time.Time
	if s.user.Load() == nil && s.srv.cfg.replay == nil {
		t := time.NewTimer(s.srv.cfg.authTimeout - time.Since(s.started))
		defer t.Stop()
		authTimeout = t.C
	}
	if !s.reading {
		s.reading = true
		s.readReq <- s.input.free()
	}
	select {
	case r := <-s.readRes:
		s.reading = false
		s.input.add(s.readBuf[:r.n])
		if r.n > 0 {
			return nil // an error comes again
		}
		return r.err
	case <-wake:
		return nil
	case <-late:
		return nil
	case <-authTimeout:
		return errEnded
	case <-s.ctx.Done():
		return s.flush() // what was queued before the end, such as Shutdown
	}
}

// readLoop reads what it is asked for, so that nothing is read ahead of the
// actions: a client that sends too much feels it.
func (s *Session) readLoop() {
	for n := range s.readReq {
		r := readEvent{}
		if s.frames != nil {
			r.err = s.frames.poll()
		}
		if r.err == nil {
			r.n, r.err = s.conn.Read(s.readBuf[:n])
		}
		s.readRes <- r
	}
}

// execute runs one complete action and tells whether the session goes on.
func (s *Session) execute(r *request) bool {
	s.actions++
	c := &Call{session: s, request: *r, action: r.action(), id: r.get("ActionID")}
	c.entry = s.srv.record(c)
	f := s.currentFaults()
	if f.ResetOnAction == s.actions {
		s.Reset()
		return false
	}
	if f.ResetAfterAction == s.actions {
		s.mute(true)
		s.process(c)
		s.Reset()
		return false
	}
	if f.SilentAfterAction > 0 && s.actions >= f.SilentAfterAction {
		s.mute(true)
	}
	if sleep(s.ctx, f.AnswerDelay) {
		s.process(c)
	}
	return !c.closing.Load()
}

// process is process_message of main/manager.c, with the parse errors of
// do_message before it.
func (s *Session) process(c *Call) {
	tooLong := s.input.tooLong
	switch {
	case c.request.surplus:
		c.Error("Too many lines in message or allocation failure")
		return
	case tooLong:
		s.input.tooLong = false
		c.Error("Failed to parse message: line too long")
		return
	case c.action == "":
		c.Error("Missing action in request")
		return
	case s.srv.isStopping():
		c.Error("Asterisk is shutting down")
		return
	}
	user := s.user.Load()
	if user == nil && !beforeLogin(c.action) {
		c.Error("Permission denied")
		return
	}
	if user == nil && s.inUse(c) {
		return
	}
	a, ok := s.srv.action(c.action)
	switch {
	case !ok:
		c.Error("Invalid/unknown command: " + c.action +
			". Use Action: ListCommands to show available commands.")
	case a.class != 0 && (user == nil || a.class&user.Write.orAll() == 0):
		c.Error("Permission denied")
	default:
		s.srv.executed(c)
		a.run(c)
	}
}

// kill ends the session at once; what it writes is cut. The connection goes
// first, or the session would still flush its events.
func (s *Session) kill() {
	_ = s.raw.Close()
	s.cancel()
}

// Kick closes the session without a word, as "manager kick session" does.
// What is written already still reaches the client.
func (s *Session) Kick() { s.kill() }

// Reset ends the connection as a TCP reset does: the client gets ECONNRESET.
func (s *Session) Reset() {
	reset(s.raw)
	s.cancel()
}

// CloseMidFrame sends the first half of an event and closes.
func (s *Session) CloseMidFrame() {
	_ = s.Send([]byte("Event: UserEvent\r\nPrivilege: user,all\r\nUserEv"))
	s.kill()
}

// Send writes raw bytes to the client, between two messages.
func (s *Session) Send(raw []byte) error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	return s.put(raw)
}
