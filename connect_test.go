package ami_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// TestLoginDeadline: the login timeout is exact, whatever the write timeout (D2).
func TestLoginDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		go func() { _, _ = b.Write([]byte("Asterisk Call Manager/11.0.0\r\n")) }()
		start := time.Now()
		_, err := ami.Dial(t.Context(), ami.Node{Key: "k", Addr: "10.0.0.1", Username: "u", Secret: ami.NewSecret("s")},
			ami.WithLoginTimeout(time.Second), ami.WithWriteTimeout(time.Minute),
			ami.WithDialer(func(context.Context, string, string) (net.Conn, error) { return a, nil }))
		require.Error(t, err)
		require.Equal(t, time.Second, time.Since(start), "%v", err)
	})
}

// TestShuttingDownIsNoRefusal: a restart is not retried as slowly as a wrong
// password (D3).
func TestShuttingDownIsNoRefusal(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.SetFaults(amitest.Faults{LoginError: "Asterisk is shutting down"})
		_, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext))
		require.NotErrorIs(t, err, ami.ErrAuth)
		require.ErrorIs(t, err, ami.ErrShutdown)
	})
}

// TestTLSByTheDialer: records fit Asterisk as well if the dialer does the TLS (D3).
func TestTLSByTheDialer(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		cfg := srv.ClientTLS()
		c, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(func(ctx context.Context, n, a string) (net.Conn, error) {
			k, err := srv.DialContext(ctx, n, a)
			if err != nil {
				return nil, err
			}
			return tls.Client(k, cfg), nil
		}))
		require.NoError(t, err)
		defer c.Close()
		a := action.New("UserEvent", "UserEvent", "X")
		for i := range 20 {
			a = a.With(fmt.Sprint("H", i), strings.Repeat("x", 200))
		}
		_, err = c.Send(t.Context(), a, ami.Timeout(5*time.Second))
		require.NoError(t, err)
	}, amitest.WithTLS())
}

type wrapped struct {
	net.Conn
	closed *atomic.Bool
}

func (w *wrapped) NetConn() net.Conn { return w.Conn }
func (w *wrapped) Close() error      { w.closed.Store(true); return w.Conn.Close() }

// TestCloseOfTheDialersSocket: what the dialer returned is closed itself (D7).
func TestCloseOfTheDialersSocket(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		var closed atomic.Bool
		c, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(func(ctx context.Context, n, a string) (net.Conn, error) {
			k, err := srv.DialContext(ctx, n, a)
			return &wrapped{k, &closed}, err
		}))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.True(t, closed.Load(), "Close of the dialer's own Conn was never called")
	})
}

// TestCleanShutdownIsNoLoss (D7, D8).
func TestCleanShutdownIsNoLoss(t *testing.T) {
	var losses, warns int
	for range 300 {
		srv := amitest.NewServer()
		log := newLogbook()
		c, err := ami.Dial(t.Context(), node(srv), ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)))
		require.NoError(t, err)
		require.NoError(t, c.Shutdown(t.Context()))
		losses += int(c.Stats().Losses)
		warns += len(log.find("disconnected"))
		srv.Close()
	}
	require.Zero(t, losses+warns, "losses %d, warnings %d of 300 clean shutdowns", losses, warns)
}

// TestProbes: with more than one probe a stable session closes the breaker (D5).
func TestProbes(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.SetFaults(amitest.Faults{Refuse: true})
		log := newLogbook()
		c := run(t, srv, ami.WithLogger(slog.New(log)), ami.WithBreaker(2, time.Minute, 2))
		time.Sleep(30 * time.Second)
		srv.SetFaults(amitest.Faults{})
		require.NoError(t, c.Ready(t.Context()))
		for range 3 {
			time.Sleep(24 * time.Hour) // stable
			srv.Sessions()[0].Kick()
			require.NoError(t, c.Ready(t.Context()))
		}
		var seen []string
		for _, r := range log.find("circuit breaker changed") {
			seen = append(seen, fmt.Sprint(r["to"]))
		}
		require.Contains(t, seen, "closed", "%v", seen)
	})
}

// TestShortSessionsOpenTheBreaker: a login does not wipe out the failures before
// it; only a stable session does (D5).
func TestShortSessionsOpenTheBreaker(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := run(t, srv, ami.WithBreaker(2, time.Minute, 1))
		for range 20 {
			require.NoError(t, c.Ready(t.Context()))
			srv.Sessions()[0].Kick()
			synctest.Wait()
		}
		require.NotZero(t, c.Stats().BreakerChanges)
	})
}

// TestRefusedLoginsAreFewAndFar: the waits have a floor of their own (D3).
func TestRefusedLoginsAreFewAndFar(t *testing.T) {
	least := time.Hour
	for range 40 {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			srv.SetFaults(amitest.Faults{LoginError: "Authentication failed"})
			log := newLogbook()
			run(t, srv, ami.WithLogger(slog.New(log)))
			time.Sleep(10 * time.Minute)
			for _, r := range log.find("disconnected") {
				least = min(least, r["backoff"].(time.Duration))
			}
		})
	}
	require.GreaterOrEqual(t, least, 15*time.Second)
}
