// Package natstest starts servers of NATS for tests, and finds that of the system,
// which is of an older version than the embedded one.
package natstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/embedded"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute

// The server of the system, which outlives a test: it is to clear up what it made.
const (
	system    = "127.0.0.1:4222"
	SystemURL = "nats://" + system
)

// The test binary is a server if these are set: the directory and the port.
const (
	asDir  = "TEST_AS_NATS_DIR"
	asPort = "TEST_AS_NATS_PORT"
)

// Serve is for TestMain: if this process is to be a Server, it is one until it is
// killed or its parent is gone, and Serve returns true.
func Serve() bool {
	dir := os.Getenv(asDir)
	if dir == "" {
		return false
	}
	port, err := strconv.Atoi(os.Getenv(asPort))
	if err != nil {
		panic(err)
	}
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: dir, Port: port})
	if err != nil {
		panic(err)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte() //nolint:forbidigo // it is a process of its own, which ends with its parent
	if err := s.Close(); err != nil {
		panic(err)
	}
	return true
}

// Path is the program of the system, or "".
func Path() string {
	for _, name := range []string{"nats-server", "/usr/sbin/nats-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// System returns the URL of the system's server, or of one of its program. A
// system that has neither fails the test where the variable CI is set, and skips it
// elsewhere.
func System(t testing.TB) string {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", system)
	switch path := Path(); {
	case err == nil:
		require.NoError(t, conn.Close())
		return SystemURL
	case path != "":
		s := New(t, path)
		s.Start(t)
		return s.URL()
	case os.Getenv("CI") != "":
		t.Fatal("there is no nats-server on this system")
	default:
		t.Skip("there is no nats-server on this system")
	}
	return ""
}

// A Server is a server in a process of its own.
type Server struct {
	dir  string
	port int
	path string
	cmd  *exec.Cmd
}

// New chooses a port and a directory for a server of a program, or with "" for an
// embedded one, which is the test binary: see Serve.
func New(t testing.TB, path string) *Server {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &Server{dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port, path: path}
	require.NoError(t, l.Close())
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// URL is where it listens.
func (s *Server) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.port) }

// Start starts the process, again if it was killed, and waits until it greets. It
// ends with the test. More is put in its configuration, if it has a program.
func (s *Server) Start(t testing.TB, more ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // Kill ends it
	if s.path == "" {
		self, err := os.Executable()
		require.NoError(t, err)
		s.cmd = exec.CommandContext(ctx, self)
		s.cmd.Env = append(os.Environ(), asDir+"="+s.dir, fmt.Sprintf("%s=%d", asPort, s.port))
	} else {
		file := filepath.Join(s.dir, "server.conf")
		text := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream {store_dir: %q}\n%s\n", s.port, filepath.Join(s.dir, "data"), strings.Join(more, "\n"))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		s.cmd = exec.CommandContext(ctx, s.path, "-c", file)
	}
	_, err := s.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	s.greets(t)
}

// greets waits for the first bytes that a server sends.
func (s *Server) greets(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.greeting(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.NoError(t, errors.Join(err, ctx.Err()))
		}
	}
}

func (s *Server) greeting(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(s.port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}

// Signal sends the process a signal.
func (s *Server) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
}

// Kill ends the process without any farewell.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait() // killed
	s.cmd = nil
}
