package amitest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/frame"
)

// Server is a fake Asterisk. Its methods may be called by several goroutines
// at once.
type Server struct {
	cfg    config
	name   string // invented host of the in-memory network
	addr   string
	certs  *certificates // nil without TLS
	pbx    *pbx
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of the server

	mu       sync.Mutex
	listener net.Listener // TCP only; nil while down
	down     bool         // no connection is accepted
	closed   bool
	booted   bool
	bootedAt time.Time
	stopping bool // every action is refused: "Asterisk is shutting down"
	actions  map[string]action
	sessions []*Session // in order of connection
	conns    int        // connections so far
	waiting  int        // sessions without login
	faults   func(n int) Faults
	random   *rand.Rand

	ledger  ledger
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// String returns the address, and nothing of the users.
func (srv *Server) String() string { return "fake Asterisk at " + srv.addr }

// Format makes every verb print what String returns.
func (srv *Server) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, srv.String()) // a fmt.State has nowhere to report to
}

var servers atomic.Int64 // for unique names

// NewServer makes a server that listens at once. Close it after use.
func NewServer(opts ...Option) *Server {
	cfg := newConfig(opts)
	srv := &Server{
		cfg:      cfg,
		name:     fmt.Sprintf("fake%d", servers.Add(1)),
		booted:   true,
		bootedAt: time.Now(),
		actions:  builtin(),
		random:   cfg.random(),
	}
	srv.ctx, srv.cancel = context.WithCancel(context.Background())
	srv.pbx = newPBX(srv)
	srv.ledger.off = cfg.noLedger
	if cfg.tls {
		srv.certs = newCertificates(srv.name, cfg.certificate)
	}
	srv.addr = srv.name + ":5038"
	if cfg.tcp {
		if err := srv.listen("127.0.0.1:0"); err != nil {
			panic("amitest: " + err.Error()) // as httptest does
		}
		srv.addr = srv.listener.Addr().String()
	}
	if cfg.callRate > 0 {
		srv.wg.Go(func() { srv.LiveCalls(srv.ctx, cfg.callRate) })
	}
	return srv
}

// Addr returns host:port to dial. On the in-memory network it is an invented
// name, unique in the process.
func (srv *Server) Addr() string { return srv.addr }

// ClientTLS returns a client configuration that trusts the server's
// certificate. It panics without [WithTLS] or [WithCertificate].
func (srv *Server) ClientTLS() *tls.Config {
	if srv.certs == nil {
		panic("amitest: ClientTLS on a server without TLS")
	}
	return srv.certs.client.Clone()
}

// Close ends every session and waits for every goroutine of the server. A
// handler that blocks without heed of [Call.Context] holds it up.
func (srv *Server) Close() {
	srv.mu.Lock()
	srv.closed = true
	sessions := slices.Clone(srv.sessions)
	srv.mu.Unlock()
	srv.goDown()
	srv.cancel()
	for _, s := range sessions {
		s.kill()
	}
	srv.wg.Wait()
}

// Sessions returns the sessions that are connected, in order of connection.
func (srv *Server) Sessions() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Clone(srv.sessions)
}

// Session returns the n-th connection since the start, counted from 1, or nil
// if it is not there any more or not yet.
func (srv *Server) Session(n int) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, s := range srv.sessions {
		if s.id == n {
			return s
		}
	}
	return nil
}

// Handle adds the action, or replaces it. The name is matched without regard
// to case. A user needs one of the classes to execute it; without any,
// everybody may. Handlers run in the goroutine of the session.
func (srv *Server) Handle(name string, h HandlerFunc, classes ...Class) {
	a := action{name: name, run: h}
	for _, c := range classes {
		a.class |= c
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.actions[strings.ToLower(name)] = a
}

func (srv *Server) action(name string) (action, bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	a, ok := srv.actions[strings.ToLower(name)]
	return a, ok
}

// Broadcast queues an event for every session whose user may read all of the
// classes and whose event mask has them all. It never blocks: each session
// sends its events as soon as no action runs in it.
func (srv *Server) Broadcast(event string, classes Class, fields ...frame.Field) {
	now := time.Now()
	e := queued{at: now, class: classes, name: event, text: srv.event(event, classes, now, fields)}
	srv.broadcast(e)
}

// broadcast queues the event for all sessions. The lock keeps the order of
// events the same in all of them.
func (srv *Server) broadcast(e queued) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, s := range srv.sessions {
		s.queue(e)
	}
}

// event formats a queued event (__manager_event_sessions_va).
func (srv *Server) event(name string, classes Class, now time.Time, fields []frame.Field) []byte {
	b := appendHeader(make([]byte, 0, 512), "Event", name)
	b = appendHeader(b, "Privilege", classes.String())
	if srv.cfg.timestamps {
		b = appendHeader(b, "Timestamp", timestamp(now))
	}
	if srv.cfg.systemName != "" {
		b = appendHeader(b, "SystemName", srv.cfg.systemName)
	}
	return appendEnd(appendFields(b, fields))
}

// int64n returns a random number below n.
func (srv *Server) int64n(n int64) int64 {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.random.Int64N(n)
}

// sleep waits and tells whether the server still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
