package amitest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// DialContext connects to this server over its transport; network and addr are
// ignored. It returns the plain transport: TLS is up to the client. While the
// server is down the error is an ECONNREFUSED in a *net.OpError.
func (srv *Server) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memAddr(srv.addr), Err: err}
	}
	if srv.cfg.tcp {
		return new(net.Dialer).DialContext(ctx, "tcp", srv.addr)
	}
	n, f, ok := srv.arrive()
	if ok && f.ConnectDelay > 0 && !sleep(ctx, f.ConnectDelay) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memAddr(srv.addr), Err: ctx.Err()}
	}
	if ok && !f.Refuse {
		client, server := memPair(srv.cfg.buffer, fmt.Sprintf("client%d:0", n), srv.addr)
		if srv.start(n, f, server) {
			return client, nil
		}
	}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memAddr(srv.addr), Err: refused}
}

// Dialer returns a dial function that connects to the server whose Addr is
// dialled, and refuses any other address: for clients with several servers.
func Dialer(all ...*Server) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		for _, srv := range all {
			if srv.addr == addr {
				return srv.DialContext(ctx, network, addr)
			}
		}
		refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memAddr(addr), Err: refused}
	}
}

// arrive counts a connection, unless the server is down.
func (srv *Server) arrive() (n int, f Faults, ok bool) {
	srv.mu.Lock()
	if srv.closed || srv.down {
		srv.mu.Unlock()
		return 0, f, false
	}
	srv.conns++
	n = srv.conns
	faults := srv.faults
	srv.mu.Unlock()
	if faults != nil {
		f = faults(n)
	}
	return n, f, true
}

// start serves the connection, unless the server went down meanwhile.
func (srv *Server) start(n int, f Faults, raw net.Conn) bool {
	s := &Session{
		srv: srv, id: n, raw: raw, conn: raw, faults: f,
		started: time.Now(),
		writing: make(chan struct{}, 1),
		readReq: make(chan int, 1),
		readRes: make(chan readEvent, 1),
	}
	s.events.notify = make(chan struct{}, 1)
	s.events.mask.Store(uint32(ClassAll))
	if srv.certs != nil {
		s.frames = &records{Conn: raw}
		s.conn = tls.Server(s.frames, srv.certs.server)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed || srv.down {
		return false
	}
	s.ctx, s.cancel = context.WithCancel(srv.ctx)
	srv.sessions = append(srv.sessions, s)
	srv.wg.Go(s.serve)
	srv.touchLocked()
	return true
}

// admit lets a session in, or not if there are too many without login already
// (session_do).
func (srv *Server) admit(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.waiting >= srv.cfg.authLimit {
		return false
	}
	srv.waiting++
	s.counted = true
	return true
}

// leave forgets a session that has ended.
func (srv *Server) leave(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if s.counted {
		srv.waiting--
		s.counted = false
	}
	srv.sessions = slices.DeleteFunc(srv.sessions, func(other *Session) bool { return other == s })
	srv.touchLocked()
}

// listen opens the TCP listener and serves it.
func (srv *Server) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closed {
		return l.Close()
	}
	srv.listener = l
	srv.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			srv.wg.Go(func() { srv.accept(conn) })
		}
	})
	return nil
}

// accept starts a TCP session. What the network would do before a connection
// stands, it does right after.
func (srv *Server) accept(conn net.Conn) {
	n, f, ok := srv.arrive()
	switch {
	case !ok || f.Refuse || !sleep(srv.ctx, f.ConnectDelay):
		reset(conn)
	case !srv.start(n, f, conn):
		reset(conn)
	}
}

// goDown stops accepting connections.
func (srv *Server) goDown() {
	srv.mu.Lock()
	srv.down = true
	l := srv.listener
	srv.listener = nil
	srv.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
}

// goUp accepts connections again.
func (srv *Server) goUp() error {
	srv.mu.Lock()
	srv.down = false
	srv.mu.Unlock()
	if srv.cfg.tcp {
		return srv.listen(srv.addr)
	}
	return nil
}

// reset ends a connection so that its peer gets ECONNRESET.
func reset(c net.Conn) {
	switch c := c.(type) {
	case *memConn:
		_ = c.Reset()
	case *net.TCPConn:
		_ = c.SetLinger(0)
		_ = c.Close()
	default:
		_ = c.Close()
	}
}
