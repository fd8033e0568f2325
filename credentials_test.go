package ami_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// TestSecretIsAskedForAtEachLogin: of each lane, and a new one is used without a
// restart.
func TestSecretIsAskedForAtEachLogin(t *testing.T) { // H1
	for _, auth := range []ami.Auth{ami.AuthPlain, ami.AuthMD5} {
		t.Run(fmt.Sprint(auth), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var asked atomic.Int32
				var secret atomic.Value
				secret.Store("secret")
				n := node(srv)
				n.Auth, n.Secret = auth, ami.Secret{}
				n.SecretFunc = func(ctx context.Context) (ami.Secret, error) {
					deadline, ok := ctx.Deadline()
					if !ok || time.Until(deadline) != 7*time.Second {
						return ami.Secret{}, errors.New("not the login timeout")
					}
					asked.Add(1)
					return ami.NewSecret(secret.Load().(string)), nil
				}
				c, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithActionLanes(2), ami.WithLoginTimeout(7*time.Second))
				require.NoError(t, err)
				defer c.Close()
				require.EqualValues(t, 3, asked.Load())
				require.Nil(t, c.Node().SecretFunc, "as little as the secret")

				secret.Store("another")
				for _, s := range srv.Sessions() {
					s.Reset()
				}
				time.Sleep(10 * time.Second) // fake; the refusal, and not the next attempt, which comes after 15 s at least
				require.ErrorIs(t, c.Ready(cancelled(t)), ami.ErrAuth)
				secret.Store("secret")
				require.NoError(t, c.Ready(t.Context()))
			})
		})
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestCallbacksThatFail: whatever a callback does, the attempt fails with an error
// that names the node and the step and never the secret; the next one asks again.
func TestCallbacksThatFail(t *testing.T) { // H1, G2
	odd := errors.New("odd")
	fails := func(do func(context.Context) (string, error)) func(*ami.Node) {
		return func(n *ami.Node) {
			n.SecretFunc = func(ctx context.Context) (ami.Secret, error) {
				s, err := do(ctx)
				return ami.NewSecret(s), err
			}
		}
	}
	secures := func(f func(context.Context) (*tls.Config, error)) func(*ami.Node) {
		return func(n *ami.Node) { n.Secret, n.TLSFunc = ami.NewSecret("secret"), f }
	}
	for _, tc := range []struct {
		name string
		node func(*ami.Node)
		op   string
		is   error
		says string
		took time.Duration
	}{
		{"error", fails(func(context.Context) (string, error) { return "", fmt.Errorf("vault: token=%s: %w", canary, odd) }), "secret", odd, "vault: token=[redacted]", 0},
		{"error with the secret", fails(func(context.Context) (string, error) { return canary, fmt.Errorf("%s is odd: %w", canary, odd) }), "secret", odd, "[redacted] is odd", 0},
		{"panic", fails(func(context.Context) (string, error) { panic(canary) }), "secret", nil, "panicked: string", 0},
		{"panic of the runtime", fails(func(context.Context) (string, error) { return strings.Fields(canary)[runtime.NumCPU()], nil }), "secret", nil, "index out of range", 0},
		{"goroutine ended", fails(func(context.Context) (string, error) { runtime.Goexit(); return canary, nil }), "secret", nil, "ended its goroutine", 0},
		{"late", fails(func(ctx context.Context) (string, error) { <-ctx.Done(); return canary, ctx.Err() }), "secret", context.DeadlineExceeded, "within the login timeout", 5 * time.Second},
		{"empty", fails(func(context.Context) (string, error) { return "", nil }), "secret", nil, "is required", 0},
		{"line end", fails(func(context.Context) (string, error) { return canary + "\r\nAction: Logoff", nil }), "secret", nil, "must not hold CR", 0},
		{"long", fails(func(context.Context) (string, error) { return strings.Repeat(canary, 100), nil }), "secret", nil, "900 bytes", 0},
		{"TLS error", secures(func(context.Context) (*tls.Config, error) { return nil, odd }), "tls", odd, "odd", 0},
		{"TLS panic", secures(func(context.Context) (*tls.Config, error) { panic(odd) }), "tls", nil, "panicked", 0},
		{"TLS late", secures(func(ctx context.Context) (*tls.Config, error) { <-ctx.Done(); return nil, ctx.Err() }), "tls", context.DeadlineExceeded, "", 3 * time.Second},
		{"no TLS config", secures(func(context.Context) (*tls.Config, error) { return nil, nil }), "tls", nil, "no TLS config", 0},
		{"old TLS", secures(func(context.Context) (*tls.Config, error) { return &tls.Config{MinVersion: tls.VersionTLS11}, nil }), "tls", nil, "TLS 1.1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				log := newLogbook()
				n := node(srv)
				n.Secret = ami.Secret{}
				tc.node(&n)
				start := time.Now()
				_, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext), ami.WithLogger(slog.New(log)))
				require.Equal(t, tc.took, time.Since(start))
				e, ok := errors.AsType[*ami.ConnError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, tc.op, e.Op)
				require.Equal(t, "pbx1", e.Node)
				require.False(t, e.Sent)
				require.ErrorContains(t, err, tc.says)
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				}
				hidden(t, err)
				require.NotContains(t, fmt.Sprint(*log.records), canary)
				require.Empty(t, srv.Sessions(), "nothing was dialled")
			})
		})
	}
}

// TestSecretFuncThatHangs: one that ignores its context is left behind, is not
// called again before it has returned, and delays no other node nor Close.
func TestSecretFuncThatHangs(t *testing.T) { // E5, H1
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		var calls, running atomic.Int32
		hang := make(chan struct{})
		stale := sync.OnceValue(func() ami.Secret { <-hang; return ami.NewSecret("out of date") })
		n := node(srv)
		n.Secret = ami.Secret{}
		n.SecretFunc = func(context.Context) (ami.Secret, error) {
			running.Add(1)
			defer running.Add(-1)
			if calls.Add(1) == 1 {
				return stale(), nil
			}
			return ami.NewSecret("secret"), nil
		}
		other := node(srv)
		other.Key = "pbx2"
		cl, err := ami.NewCluster([]ami.Node{n, other}, ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		done := make(chan error)
		go func() { done <- cl.Run(t.Context()) }()
		require.NoError(t, cl.Ready(t.Context(), 1))
		time.Sleep(time.Minute) // fake
		require.EqualValues(t, 1, calls.Load(), "asked once")
		require.EqualValues(t, 1, running.Load())
		c, _ := cl.Node("pbx1")
		err = c.Ready(cancelled(t))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "secret")
		require.Positive(t, c.Stats().FailuresBy["secret"])

		close(hang)
		require.NoError(t, c.Ready(t.Context()))
		require.EqualValues(t, 2, calls.Load(), "what came late is out of date")

		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
	})
}

// TestSecretFuncThatObeys: what it says when its context ends is the reason, not
// that it hangs (H1).
func TestSecretFuncThatObeys(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		sealed := errors.New("vault sealed")
		n := node(srv)
		n.Secret = ami.Secret{}
		n.SecretFunc = func(ctx context.Context) (ami.Secret, error) {
			<-ctx.Done()
			return ami.Secret{}, sealed
		}
		_, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
		require.ErrorIs(t, err, sealed)
	})
}
