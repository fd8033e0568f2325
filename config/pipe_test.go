//go:build unix

package config

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// TestPipes: a shell makes a pipe of <(command), and that is read until its writer
// closes it; but none holds up the program for longer than its context (H1).
func TestPipes(t *testing.T) {
	fifo := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		return path
	}
	writer := func(t *testing.T, path string) *os.File {
		w, err := os.OpenFile(path, os.O_RDWR, 0) // which needs no reader
		require.NoError(t, err)
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	failed := func(t *testing.T, path string, err error) error {
		e, ok := errors.AsType[*ami.FileError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, path, e.File)
		return e.Err
	}

	t.Run("process substitution", func(t *testing.T) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		go func() {
			time.Sleep(50 * time.Millisecond) // it takes a while until it begins
			_, _ = w.WriteString(oneNode[:20])
			time.Sleep(50 * time.Millisecond)
			_, _ = w.WriteString(oneNode[20:])
			_ = w.Close()
		}()
		c, err := LoadContext(t.Context(), "/dev/fd/"+strconv.FormatUint(uint64(r.Fd()), 10), nil)
		require.NoError(t, err)
		require.Len(t, c.Nodes(), 1)
		require.Empty(t, c.Warnings())
	})
	t.Run("writer that comes later", func(t *testing.T) {
		old := writerPatience
		defer func() { writerPatience = old }()
		writerPatience = time.Minute // on a busy machine the 100 ms may be many
		path := fifo(t)
		go func() {
			time.Sleep(100 * time.Millisecond)
			_ = os.WriteFile(path, []byte(oneNode), 0)
		}()
		c, err := Load(path, nil)
		require.NoError(t, err)
		require.Len(t, c.Nodes(), 1)
	})
	t.Run("nobody writes", func(t *testing.T) {
		path := fifo(t)
		_, err := Load(path, nil)
		require.ErrorContains(t, failed(t, path, err), "nobody writes to this pipe")
	})
	t.Run("writer that is silent", func(t *testing.T) {
		path := fifo(t)
		_, _ = writer(t, path).WriteString("nodes:\n")
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
		_, err := LoadContext(ctx, path, nil)
		require.ErrorIs(t, failed(t, path, err), context.Canceled)
	})
	t.Run("too much", func(t *testing.T) {
		path := fifo(t)
		w := writer(t, path)
		go func() {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 1<<16)) // until it is closed
			}
		}()
		_, err := Load(path, nil)
		require.ErrorContains(t, one(t, err), "4194304 bytes at most")
	})
	t.Run("device without an end", func(t *testing.T) {
		_, err := Load("/dev/zero", nil)
		require.ErrorContains(t, one(t, err), "4194304 bytes at most")
	})
	t.Run("device without a begin", func(t *testing.T) {
		_, err := Load("/dev/null", nil)
		require.ErrorContains(t, err, "a cluster needs one node")
	})
	t.Run("socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		require.NoError(t, err)
		defer l.Close()
		_, err = Load(path, nil)
		require.Error(t, failed(t, path, err))
	})
}
