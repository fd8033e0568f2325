package redisstream_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A proxy is between the broker and a server.
type proxy struct {
	net.Listener
	to string
	// answer, if it is set, is asked before each answer is passed on: it returns
	// what to pass on, and whether the connection dies then.
	answer atomic.Pointer[func(answer []byte) ([]byte, bool)]
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  []net.Conn
}

// through starts one in front of a server.
func through(t testing.TB, url string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: l, to: strings.TrimPrefix(url, "redis://")}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.Addr().String() }

// answers sets what becomes of answers; nil lets them pass.
func (p *proxy) answers(f func(answer []byte) ([]byte, bool)) {
	if f == nil {
		p.answer.Store(nil)
		return
	}
	p.answer.Store(&f)
}

func (p *proxy) accept() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		s, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.to)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, s)
		p.mu.Unlock()
		p.wg.Go(func() {
			_, _ = io.Copy(s, c)
			_ = s.Close()
		})
		p.wg.Go(func() {
			p.pass(c, s)
			_ = c.Close()
		})
	}
}

func (p *proxy) pass(c, s net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		answer, dies := buf[:n], false
		if f := p.answer.Load(); f != nil {
			answer, dies = (*f)(answer)
		}
		if _, err := c.Write(answer); err != nil || dies {
			return
		}
	}
}
