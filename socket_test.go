package ami_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// oddSocket goes wrong in one of its methods once it is told to.
type oddSocket struct {
	net.Conn

	in string
	on *atomic.Bool
}

func (s oddSocket) odd(method string) {
	if s.in == method && s.on.Load() {
		panic(canary)
	}
}

func (s oddSocket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.odd("Read")
	if s.on.Load() {
		switch s.in {
		case "Read too much":
			return len(p) + 1, nil
		case "Read less than nothing":
			return -1, nil
		case "Read nil pointer":
			return n, (*nilError)(nil)
		case "Read secret":
			return n, plainError{canary}
		}
	}
	return n, err
}

func (s oddSocket) Write(p []byte) (int, error) { s.odd("Write"); return s.Conn.Write(p) }
func (s oddSocket) Close() error                { defer s.odd("Close"); return s.Conn.Close() }

func (s oddSocket) SetWriteDeadline(t time.Time) error {
	s.odd("SetWriteDeadline")
	return s.Conn.SetWriteDeadline(t)
}

func (s oddSocket) SetDeadline(t time.Time) error { s.odd("SetDeadline"); return s.Conn.SetDeadline(t) }

// TestSocketThatPanics: a socket of the user's dialer, whatever it does, ends its
// session at most, on whatever goroutine it is used.
func TestSocketThatPanics(t *testing.T) { // C8, G2
	for _, tc := range []struct {
		in      string
		atStart bool // it goes wrong from the first session on, then no more
		panics  uint64
	}{
		{"Read", false, 1},
		{"Write", false, 1},
		{"SetWriteDeadline", false, 1},
		{"Read nil pointer", false, 1},
		{"Read too much", false, 0},
		{"Read less than nothing", false, 0},
		{"Read secret", false, 0},
		{"Read", true, 1},
		{"Write", true, 1},
		{"SetDeadline", true, 1},
		{"Read nil pointer", true, 1},
		{"Read too much", true, 0},
		{"Close", false, 0},
		{"Close", true, 0}, // whose error concerns nobody
	} {
		t.Run(fmt.Sprint(tc.in, tc.atStart), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var on atomic.Bool
				on.Store(tc.atStart)
				log := newLogbook()
				c, err := ami.New(node(srv), ami.WithLogger(slog.New(log)), ami.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
					socket, err := srv.DialContext(ctx, network, addr)
					return oddSocket{socket, tc.in, &on}, err
				}))
				require.NoError(t, err)
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				if tc.atStart {
					synctest.Wait()
				} else {
					require.NoError(t, c.Ready(t.Context()))
					on.Store(true)
					_, _ = c.Send(t.Context(), action.Ping{}) // it may get through
					for _, s := range srv.Sessions() {
						s.Kick()
					}
					synctest.Wait()
				}
				on.Store(false)
				require.NoError(t, c.Ready(t.Context()), "the next session")
				_, err = c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
				require.GreaterOrEqual(t, c.Stats().CallbackPanics, tc.panics)
				require.Equal(t, min(tc.panics, 1), uint64(len(log.find("a callback panicked"))))
				require.NoError(t, c.Close())
				require.NoError(t, <-done)
				unshown(t, "log", fmt.Sprint(*log.records))
			})
		})
	}
}
