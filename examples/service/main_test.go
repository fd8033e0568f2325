package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-for", "2s"}, &out))
	for _, want := range []string{"/readyz", "server_key=fake3", "node was away", "server_key=fake2 down=", "stopping"} {
		require.Contains(t, out.String(), want)
	}
	require.ErrorContains(t, run(t.Context(), []string{"-listen", "nowhere"}, &out), "address")
	require.Error(t, run(t.Context(), []string{"now"}, &out))
}

// TestServe goes through the life of the service: not ready, ready, and a
// graceful end that waits for an answer.
func TestServe(t *testing.T) {
	srv := amitest.NewServer(amitest.WithTCP())
	defer srv.Close()
	slow := make(chan struct{})
	srv.Handle("Ping", func(c *amitest.Call) {
		select {
		case <-slow:
			c.Respond(amitest.F("Ping", "Pong"))
		case <-c.Context().Done():
		}
	})
	cluster, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}})
	require.NoError(t, err)
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, cluster, listener, 1, slog.New(slog.DiscardHandler)) }()

	require.NoError(t, cluster.Ready(t.Context(), 1))
	require.Equal(t, "ok\n", get(t, listener, "/livez", http.StatusOK))
	require.Contains(t, get(t, listener, "/readyz", http.StatusOK), `"pbx1":{"state":"ready"`)

	answer := make(chan error, 1)
	go func() {
		_, err := cluster.Send(context.WithoutCancel(t.Context()), action.Ping{})
		answer <- err
	}()
	require.NoError(t, srv.WaitAction(t.Context(), "Ping", 1))
	stop() // as SIGTERM does
	close(slow)
	require.NoError(t, <-answer, "it was not cut off")
	require.NoError(t, <-done)
	require.Eventually(t, func() bool { return len(srv.Sessions()) == 0 }, time.Minute, time.Millisecond, "it logged off")
}

func get(t *testing.T, l net.Listener, path string, code int) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, http.NoBody)
	require.NoError(t, err)
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, code, answer.StatusCode, string(body))
	return string(body)
}

func TestReadyz(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		cluster, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: "10.0.0.1", Username: "admin", Secret: ami.NewSecret("canary")}},
			ami.WithDialer(srv.DialContext))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- cluster.Run(t.Context()) }()
		time.Sleep(5 * time.Second) // fake
		h := &health{cluster: cluster, need: 1}
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		var got readiness
		require.NoError(t, json.NewDecoder(w.Body).Decode(&got))
		require.False(t, got.Ready)
		require.Equal(t, "disconnected", got.Nodes["pbx1"].State)
		require.Contains(t, got.Nodes["pbx1"].Reason, "login refused")
		require.NotContains(t, got.Nodes["pbx1"].Reason, "canary")
		require.NoError(t, cluster.Close())
		require.NoError(t, <-done)
	})
}
