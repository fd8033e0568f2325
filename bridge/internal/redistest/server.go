// Package redistest starts servers of Redis for tests, and finds that of the
// system.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute

// system is where the server of the system listens.
const system = "127.0.0.1:6379"

// System returns the URL of the system's server, or of one that it starts. The
// keys of the prefix are deleted when the test ends.
func System(t testing.TB, prefix string) string {
	t.Helper()
	addr := system
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", system)
	if err == nil {
		require.NoError(t, conn.Close())
	} else {
		s := New(t)
		s.Start(t)
		addr = s.Addr()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		c := redis.NewClient(&redis.Options{Addr: addr})
		keys := c.Scan(ctx, 0, prefix+":*", 1000).Iterator()
		for keys.Next(ctx) {
			require.NoError(t, c.Del(ctx, keys.Val()).Err())
		}
		require.NoError(t, keys.Err())
		require.NoError(t, c.Close())
	})
	return "redis://" + addr
}

// A Server is a redis-server in a process of its own, which writes to its disk
// before it confirms.
type Server struct {
	Dir  string
	port int
	path string
	args []string
	cmd  *exec.Cmd
}

// New chooses a port and a folder. The arguments are for the server besides.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal("there is no redis-server on this system")
	default:
		t.Skip("there is no redis-server on this system")
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &Server{Dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port, path: path, args: args}
	require.NoError(t, l.Close())
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// Addr is where it listens.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL is Addr as a URL.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Start starts the process, again if it was killed, and waits until it answers. It
// ends with the test.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), s.path, append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--logfile", "log",
	}, s.args...)...)
	require.NoError(t, s.cmd.Start())
	c := s.Client(t)
	require.Eventually(t, func() bool {
		err := c.Ping(context.Background()).Err()
		return err == nil || redis.IsAuthError(err) // it wants a password
	}, soon, 10*time.Millisecond)
}

// Client is one of the library, for the test itself.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	return Client(t, s.URL())
}

// Client is one of the library, for the test itself.
func Client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it
	return c
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
