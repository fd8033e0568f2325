package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// redisServer is a server of the test's own, which is started later.
func redisServer(t *testing.T) (addr string, start func()) {
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
	addr = l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	return addr, func() {
		cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--requirepass", "hidden", "--logfile", "log")
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		})
	}
}

// TestBridgeRedis: the whole command, with a server of Redis that comes late.
// What the library of Redis would say by itself is not on stderr, and no password
// is anywhere.
func TestBridgeRedis(t *testing.T) {
	addr, serve := redisServer(t)
	srv := fake(t)
	for name, tc := range map[string]struct{ url, shown, env string }{
		"in the URL":         {"redis://:hidden@" + addr, "redis://:xxxxx@" + addr, ""},
		"in the environment": {"redis://" + addr, "redis://" + addr, "hidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("REDISCLI_AUTH", tc.env)
			t.Setenv("NATS_URL", "nats://127.0.0.1:1") // --redis goes before it
			b := &bridged{listener: start(
				t, "bridge", "-c", nodes(t, srv), "--data", t.TempDir(), "--http", "127.0.0.1:0", "--instance", "test", "--redis", tc.url, "--json",
			)}
			line := b.line(t)
			var at map[string]string
			require.NoError(t, json.Unmarshal([]byte(line), &at))
			require.Equal(t, tc.shown, at["redis"])
			require.NotContains(t, at, "nats")
			b.at.HTTP = at["http"]
			require.NoError(t, srv.WaitSessions(within(t), 1))
			if serve != nil {
				require.Eventually(t, func() bool {
					_, body := b.get(t, "/readyz")
					return strings.Contains(body, "the broker is away")
				}, soon, 10*time.Millisecond)
				serve()
				serve = nil
			}
			hangup(srv, "PJSIP/2001-1", 17)
			c := redis.NewClient(&redis.Options{Addr: addr, Password: "hidden"})
			defer c.Close()
			require.Eventually(t, func() bool {
				all, _ := c.XRevRange(within(t), "ami:events:pbx1", "+", "-").Result() // the server may not be there
				for _, m := range all {
					if m.Values["name"] == "Hangup" {
						return strings.Contains(m.Values["data"].(string), `"event":"Hangup","headers":{"Event":"Hangup"`)
					}
				}
				return false
			}, soon, 10*time.Millisecond)
			require.Eventually(t, func() bool {
				state, _ := c.HGet(within(t), "ami:states", "pbx1").Result()
				return strings.Contains(state, `"state":"ready"`)
			}, soon, 10*time.Millisecond)
			require.Eventually(t, func() bool {
				code, _ := b.get(t, "/readyz")
				return code == http.StatusOK
			}, soon, 10*time.Millisecond)
			require.Zero(t, b.ends(t, syscall.SIGTERM), b.errs.String())
			for line := range strings.Lines(b.errs.String()) {
				require.False(t, strings.HasPrefix(line, "redis: "), line)
			}
			require.NotContains(t, b.errs.String(), "hidden")
			require.NotContains(t, line, "hidden")
			require.NoError(t, c.FlushAll(within(t)).Err()) // of the test's own server
		})
	}
}
