package main

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// A badListener fails at every Accept, as the kernel lets it.
type badListener struct {
	err    func(n int) error
	times  atomic.Int64
	closed chan struct{}
}

func (l *badListener) Accept() (net.Conn, error) {
	n := int(l.times.Add(1))
	select {
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: net.ErrClosed}
	default:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: l.err(n)}
	}
}

func (l *badListener) Close() error   { close(l.closed); return nil }
func (l *badListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestRelayOutOfFiles: a listener that cannot accept for now is asked again, at
// longer and longer intervals, and each failure is told.
func TestRelayOutOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		l := &badListener{closed: make(chan struct{}), err: func(int) error { return os.NewSyscallError("accept", syscall.EMFILE) }}
		said := 0
		r := &relay{listener: l, server: srv, say: func(string, ...any) { said++ }}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, r.serve(ctx))
		// 5, 10, 20 ... 640 ms are 8 times in 1.275 s, then once a second.
		require.Equal(t, int64(8+9), l.times.Load())
		require.Equal(t, 8+9, said)
	})
}

// TestRelayRecovers: after one that was accepted the wait is short again.
func TestRelayRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backoff
		ctx := t.Context()
		start := time.Now()
		for range 10 {
			require.True(t, b.wait(ctx))
		}
		require.Equal(t, 1275*time.Millisecond+2*time.Second, time.Since(start))
		b.reset()
		start = time.Now()
		require.True(t, b.wait(ctx))
		require.Equal(t, 5*time.Millisecond, time.Since(start))
	})
}

// TestRelayWithoutListener: one that is gone for good ends it with its error.
func TestRelayWithoutListener(t *testing.T) {
	for _, err := range []error{net.ErrClosed, os.NewSyscallError("accept", syscall.EINVAL), os.NewSyscallError("accept", syscall.EBADF)} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				l := &badListener{closed: make(chan struct{}), err: func(int) error { return err }}
				r := &relay{listener: l, server: srv, say: func(string, ...any) {}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.ErrorIs(t, r.serve(ctx), err)
				require.NoError(t, ctx.Err())
				require.Equal(t, int64(1), l.times.Load())
			})
		})
	}
}

// stuck returns a client that reads nothing, joined to a session of the server, and
// what is closed when join returns.
func stuck(ctx context.Context, t *testing.T, srv *amitest.Server) (client net.Conn, over <-chan struct{}) {
	t.Helper()
	client, end := amitest.Pipe(1 << 10)
	r := &relay{server: srv}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.join(ctx, end)
	}()
	_, err := client.Write([]byte("Action: Login\r\nUsername: admin\r\nSecret: secret\r\n\r\n"))
	require.NoError(t, err)
	require.NoError(t, srv.WaitSessions(t.Context(), 1))
	return client, done
}

// TestRelayEndsWithClientThatReadsNothing: a write to the client is stuck when the
// command is told to end.
func TestRelayEndsWithClientThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client, over := stuck(ctx, t, srv)
		defer func() { _ = client.Close() }()
		require.NoError(t, srv.Flood(ctx, 0, 10))
		synctest.Wait()
		cancel()
		hasEnded(t, over)
	})
}

// TestRelayEndsWithClientThatGoes: a write to the server is stuck, since that runs a
// slow action, when the client goes.
func TestRelayEndsWithClientThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithBuffer(1 << 10))
		defer srv.Close()
		srv.Handle("Slow", func(c *amitest.Call) { c.Raw([]byte("Response: Success\r\n\r\n")); <-c.Context().Done() })
		client, over := stuck(t.Context(), t, srv)
		_, err := client.Write([]byte("Action: Slow\r\n\r\n"))
		require.NoError(t, err)
		require.NoError(t, srv.WaitAction(t.Context(), "Slow", 1))
		require.NoError(t, client.SetWriteDeadline(time.Now().Add(time.Second)))
		for err == nil {
			_, err = client.Write(make([]byte, 1<<10))
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, client.(interface{ Reset() error }).Reset())
		synctest.Wait()
		require.NoError(t, srv.Sessions()[0].Send([]byte("to nobody\r\n")))
		hasEnded(t, over)
	})
}

// hasEnded fails if what was to end has not, without waiting for time.
func hasEnded(t *testing.T, over <-chan struct{}) {
	t.Helper()
	synctest.Wait()
	select {
	case <-over:
	default:
		require.Fail(t, "the relay has not ended")
	}
}

// TestFleetWithoutListener: the command ends with the error of a listener that
// has gone.
func TestFleetWithoutListener(t *testing.T) {
	s := &fleet{}
	synctest.Test(t, func(t *testing.T) {
		for range 2 {
			srv := amitest.NewServer()
			t.Cleanup(srv.Close)
			l := &badListener{closed: make(chan struct{}), err: func(int) error { return syscall.EMFILE }}
			if len(s.fakes) == 1 {
				l.err = func(int) error { return errors.New("gone") }
			}
			s.fakes = append(s.fakes, &fakeNode{Node: "sim", relay: relay{listener: l, server: srv, say: func(string, ...any) {}}})
		}
		require.ErrorContains(t, s.serve(t.Context(), func(ctx context.Context, _ *amitest.Server) error { <-ctx.Done(); return nil }), "gone")
	})
}
