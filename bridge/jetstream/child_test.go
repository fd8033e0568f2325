package jetstream_test

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

// The test binary is a server if these are set: the directory and the port.
const (
	childDir  = "AMI_TEST_NATS_DIR"
	childPort = "AMI_TEST_NATS_PORT"
)

// serveForParent serves until it is killed or the parent is gone.
func serveForParent(dir string) {
	port, err := strconv.Atoi(os.Getenv(childPort))
	if err != nil {
		panic(err)
	}
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: dir, Port: port})
	if err != nil {
		panic(err)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // the end of the parent ends it
	_ = s.Close()
}

// A child is a server in a process of its own.
type child struct {
	dir  string
	port int
	path string // of nats-server; "": the test binary
	cmd  *exec.Cmd
}

// newChild chooses a port and a directory.
func newChild(t testing.TB, path string) *child {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &child{dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port, path: path}
	require.NoError(t, l.Close())
	t.Cleanup(func() { c.kill(t) })
	return c
}

func (c *child) url() string { return "nats://127.0.0.1:" + strconv.Itoa(c.port) }

// start starts the process and waits until it greets. More is put in its
// configuration, if it is nats-server.
func (c *child) start(t testing.TB, more ...string) {
	t.Helper()
	if c.path == "" {
		self, err := os.Executable()
		require.NoError(t, err)
		c.cmd = exec.Command(self)
		c.cmd.Env = append(os.Environ(), childDir+"="+c.dir, fmt.Sprintf("%s=%d", childPort, c.port))
	} else {
		file := filepath.Join(c.dir, "server.conf")
		text := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream {store_dir: %q}\n%s\n", c.port, filepath.Join(c.dir, "data"), strings.Join(more, "\n"))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		c.cmd = exec.Command(c.path, "-c", file)
	}
	_, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	c.greets(t)
}

// greets waits for the first bytes that a server sends.
func (c *child) greets(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.greeting(ctx)
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

func (c *child) greeting(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(c.port))
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

// kill ends the process without any farewell.
func (c *child) kill(t testing.TB) {
	t.Helper()
	if c.cmd == nil {
		return
	}
	require.NoError(t, c.cmd.Process.Kill())
	_ = c.cmd.Wait() // killed
	c.cmd = nil
}

// natsServer is the program of the system, or "".
func natsServer() string {
	path, err := exec.LookPath("nats-server")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/nats-server")
	}
	if err != nil {
		return ""
	}
	return path
}
