package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/apn/ami/amitest"
)

// A relay gives a fake Asterisk, which listens in memory, an address of one's own.
type relay struct {
	listener net.Listener
	server   *amitest.Server
	say      func(format string, args ...any)
	lines    sync.WaitGroup
}

// serve takes connections until ctx ends, or until the listener fails for good: then
// it returns its error. One that fails for now, as it does without a free file
// descriptor, is asked again after a while.
func (r *relay) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.listener.Close() }) // Accept returns
	defer stop()
	defer r.lines.Wait()
	var pause backoff
	for {
		client, err := r.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = client.Close() // nothing was said yet
			}
			return nil
		case err == nil:
			pause.reset()
			r.lines.Go(func() { r.join(ctx, client) })
		case !temporary(err):
			return err
		default:
			r.say("%v; trying again", err)
			if !pause.wait(ctx) {
				return nil
			}
		}
	}
}

// temporary reports whether an error of Accept may go away by itself: a client that
// has gone already, no free file descriptor.
func temporary(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && e.Temporary()
}

// A backoff makes what fails again and again wait longer each time: 5 ms to 1 s.
type backoff struct{ last time.Duration }

func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, 5*time.Millisecond), time.Second)
	return pause(ctx, b.last)
}

func (b *backoff) reset() { b.last = 0 }

// join carries bytes both ways until one end closes or ctx ends. An end of the
// server that is no regular one is a reset for the client, as a refusal is.
//
// Either direction may be stuck in a write to an end that does not read. Closing
// that end frees it, and nothing else does: so ctx closes both, and whoever finds
// the client gone closes the server's.
func (r *relay) join(ctx context.Context, client net.Conn) {
	server, err := r.server.DialContext(ctx, "tcp", "")
	if err != nil {
		reset(client)
		return
	}
	stop := context.AfterFunc(ctx, func() {
		_ = server.Close()
		_ = client.Close()
	})
	defer stop()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client) // either end may go at any time
		_ = server.Close()
	})
	if _, err := io.Copy(client, server); err != nil && ctx.Err() == nil {
		reset(client)
	} else {
		_ = client.Close()
	}
	_ = server.Close()
	up.Wait()
}

// reset closes a connection without a good-bye.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
