package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--for", "3s", "--rate", "5"}, &out, &errs), errs.String())
	for _, want := range []string{"logged in", "Asterisk Call Manager/", "Ping answered in", "Channels:", "in all", "Newchannel", "gap: away for", "between sessions 1 and 2", "ready -> disconnected", "authenticating -> ready", "events received", "1 gaps; 2 logins, 1 sessions lost"} {
		require.Contains(t, out.String(), want)
	}
	require.Empty(t, errs.String())
}

func TestDemoOnAServer(t *testing.T) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithCalls(10))
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	for _, tc := range []struct {
		name, secret string
		code         int
		out, errs    string
	}{
		{"right secret", "secret\n", 0, "1 logins, 0 sessions lost", ""},
		{"wrong secret", "canary\n", 1, "", "login refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(secret, []byte(tc.secret), 0o600))
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"demo", "--for", "1s", "--addr", srv.Addr(), "--user", "admin", "--secret-file", secret}, &out, &errs)
			require.Equal(t, tc.code, code, errs.String())
			require.Contains(t, out.String(), tc.out)
			require.Contains(t, errs.String(), tc.errs)
			require.NotContains(t, out.String()+errs.String(), "canary")
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after time.Duration
		says  string
	}{
		{"before the login", 0, "interrupted before the login"},
		{"in the middle", 500 * time.Millisecond, "1 logins, 0 sessions lost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tc.after)
			defer cancel()
			var out, errs bytes.Buffer
			require.Zero(t, run(ctx, []string{"demo", "--for", "1m"}, &out, &errs), errs.String())
			require.Contains(t, out.String(), tc.says)
			require.Empty(t, errs.String())
		})
	}
}

// TestDemoWithFewPrivileges wants refused actions to be shown, not to end it.
func TestDemoWithFewPrivileges(t *testing.T) {
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithUser(amitest.User{Name: "watcher", Secret: "secret", Read: amitest.ClassAll, Write: amitest.ClassCall}))
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "--for", "100ms", "--addr", srv.Addr(), "--user", "watcher", "--secret-file", secret}, &out, &errs), errs.String())
	require.Contains(t, out.String(), "refused: Permission denied")
}

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"demo", "-h"}, &out, &errs))
	require.Contains(t, out.String(), "-secret-file")
	require.Empty(t, errs.String())
}

func TestWrongCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing", nil, "Usage"},
		{"unknown command", []string{"dance"}, "Usage"},
		{"unknown flag", []string{"demo", "--fast"}, "not defined"},
		{"no time", []string{"demo", "--for", "0s"}, "must be positive"},
		{"no calls", []string{"demo", "--rate", "0"}, "above 0"},
		{"address alone", []string{"demo", "--addr", "127.0.0.1:1"}, "needs --user"},
		{"no such file", []string{"demo", "--addr", "127.0.0.1:1", "--user", "u", "--secret-file", "/does/not/exist"}, "no such file"},
		{"rate that is no number", []string{"demo", "--rate", "NaN"}, "above 0"},
		{"user without address", []string{"demo", "--user", "u"}, "need --addr"},
		{"stray argument", []string{"demo", "now"}, "unexpected argument"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, 2, run(t.Context(), tc.args, &out, &errs))
			require.Contains(t, errs.String(), tc.says)
		})
	}
}
