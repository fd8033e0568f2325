package ami

import (
	"errors"
	"io"
	"net"
	"time"
)

// A guardedConn is a socket that a dialer of the user has made. Goroutines of the
// library use it, where a panic of it would end the process: it is an error instead,
// which ends the session.
type guardedConn struct {
	net.Conn

	cfg *config
}

var errSocketCount = errors.New("the dialer's connection counts its bytes wrongly")

// check is deferred by each method, whose results it mends. What a sound error says
// is redacted when the end of the session is told; until then it is what it was.
func (g guardedConn) check(most int, n *int, err *error) {
	switch v := recover(); {
	case v != nil:
		*n, *err = 0, caught(v)
	case *n < 0 || *n > most:
		*n, *err = 0, errSocketCount
	case *err == nil || *err == io.EOF: //nolint:errorlint // neither runs code of its own
	default:
		if e := g.cfg.foreign(*err); !isForeign(e) {
			*err = e
		}
	}
}

func isForeign(err error) bool {
	_, ok := err.(*foreignError) //nolint:errorlint // as foreign has just made it
	return ok
}

func (g guardedConn) Read(p []byte) (n int, err error) {
	defer g.check(len(p), &n, &err)
	return g.Conn.Read(p)
}

func (g guardedConn) Write(p []byte) (n int, err error) {
	defer g.check(len(p), &n, &err)
	return g.Conn.Write(p)
}

func (g guardedConn) Close() (err error) {
	defer g.check(0, new(int), &err)
	return g.Conn.Close()
}

func (g guardedConn) SetDeadline(t time.Time) (err error) {
	defer g.check(0, new(int), &err)
	return g.Conn.SetDeadline(t)
}

func (g guardedConn) SetReadDeadline(t time.Time) (err error) {
	defer g.check(0, new(int), &err)
	return g.Conn.SetReadDeadline(t)
}

func (g guardedConn) SetWriteDeadline(t time.Time) (err error) {
	defer g.check(0, new(int), &err)
	return g.Conn.SetWriteDeadline(t)
}
