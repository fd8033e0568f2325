package main

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/apn/ami/amitest"
)

// A relay gives a fake Asterisk, which listens in memory, an address of one's own.
type relay struct {
	listener net.Listener
	server   *amitest.Server
	lines    sync.WaitGroup
}

// serve takes connections until ctx ends.
func (r *relay) serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = r.listener.Close() }) // Accept returns
	defer stop()
	defer r.lines.Wait()
	for {
		client, err := r.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = client.Close() // nothing was said yet
			}
			return
		case err != nil:
			continue // that client has gone already
		}
		r.lines.Go(func() { r.join(ctx, client) })
	}
}

// join carries bytes both ways until one end closes. An end of the server that is
// no regular one is a reset for the client, as a refusal is.
func (r *relay) join(ctx context.Context, client net.Conn) {
	server, err := r.server.DialContext(ctx, "tcp", "")
	if err != nil {
		reset(client)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
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
	up.Wait()
}

// reset closes a connection without a good-bye.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
