//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestConfigurationFromAPipe: one that nobody writes to, or not all of it, holds up
// no command that is to end.
func TestConfigurationFromAPipe(t *testing.T) { // H1
	silent := func(t *testing.T, path string) {
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		w, err := os.OpenFile(path, os.O_RDWR, 0) // which needs no reader
		require.NoError(t, err)
		t.Cleanup(func() { _ = w.Close() })
	}
	t.Run("check, nobody writes", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		got := call(t, "config", "check", "-c", path)
		require.Equal(t, exitConfig, got.code)
		require.Contains(t, got.out, path+": nobody writes to this pipe")
	})
	t.Run("check, interrupted", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		silent(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
		var out, errs bytes.Buffer
		code := run(ctx, []string{"config", "check", "-c", path}, &out, &errs)
		require.Equal(t, exitInterrupted, code, errs.String())
		require.Empty(t, out.String())
	})
	t.Run("listen, reload", func(t *testing.T) {
		srv := fake(t)
		file := nodes(t, srv)
		l := start(t, "listen", "-c", file, "--event", "Hangup", "--headers", "Channel")
		require.NoError(t, srv.WaitSessions(within(t), 1))
		require.NoError(t, os.Remove(file))
		silent(t, file)
		require.NoError(t, l.Process.Signal(syscall.SIGHUP))
		hangup(srv, "goes on", 17)
		require.Equal(t, "goes on", l.line(t))
		require.Zero(t, l.ends(t, syscall.SIGTERM), l.errs.String())
		require.NotContains(t, l.errs.String(), "configuration is wrong")
	})
}
