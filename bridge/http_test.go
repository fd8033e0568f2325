package bridge

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// get asks the handler.
func get(t *testing.T, h http.Handler, path string, into any) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	if into != nil {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), into), "%s", w.Body)
	}
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, servers := newShelf(), fakes(t, "pbx1", "pbx2")
		cl, _ := clusterOf(t, servers)
		b, err := New(cl, broker, Options{Dir: t.TempDir(), Instance: "test"})
		require.NoError(t, err)
		h := b.Handler()
		code, body := get(t, h, "/healthz", nil)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", body)
		var r readiness
		code, _ = get(t, h, "/readyz", &r)
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "it does not run", r.Reason)
		_, body = get(t, h, "/metrics", nil)
		require.Contains(t, body, `ami_bridge_records_published_total{kind="event"} 0`)

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		require.NoError(t, cl.Ready(t.Context(), 0))
		synctest.Wait()
		code, _ = get(t, h, "/readyz", &r)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, 2, r.Up)
		var nodes []NodeState
		code, _ = get(t, h, "/nodes", &nodes)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "pbx1", nodes[0].Node)
		require.Equal(t, "ready", nodes[1].State)

		broker.set(func(s *shelf) { s.away = true })
		flood(t, servers["pbx1"], 10)
		synctest.Wait()
		r = readiness{}
		code, _ = get(t, h, "/readyz", &r)
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "the broker is away", r.Reason)
		_, body = get(t, h, "/metrics", nil)
		require.Contains(t, body, "ami_bridge_broker_up 0")
		require.Contains(t, body, "ami_bridge_spool_entries 10")
		code, _ = get(t, h, "/healthz", nil)
		require.Equal(t, http.StatusOK, code, "no reason for a restart")

		broker.set(func(s *shelf) { s.away = false })
		time.Sleep(time.Minute)
		for _, srv := range servers {
			srv.SetStopping(true)
			srv.Drop()
		}
		time.Sleep(time.Minute)
		r = readiness{}
		code, _ = get(t, h, "/readyz", &r)
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "no node is ready", r.Reason)

		cancel()
		require.NoError(t, <-done)
		_, body = get(t, h, "/metrics", nil)
		require.Contains(t, body, `ami_bridge_records_published_total{kind="event"} 12`)
		problems, err := testutil.GatherAndLint(b.registry)
		require.NoError(t, err)
		require.Empty(t, problems)
	})
}

// TestOptions: what New refuses.
func TestOptions(t *testing.T) {
	cl, nodes := clusterOf(t, fakes(t, "pbx1"))
	twice := prometheus.NewCounter(prometheus.CounterOpts{Name: "x", Help: "x"})
	for name, o := range map[string]Options{
		"Dir":        {Instance: "a"},
		"Instance":   {Dir: "x", Instance: "a b"},
		"Buffer":     {Dir: "x", Buffer: 1},
		"Grace":      {Dir: "x", Grace: -1},
		"AnswerMost": {Dir: "x", AnswerMost: 1},
		"Allow":      {Dir: "x", Allow: Allow{AllNodes: {""}}},
		"Metrics":    {Dir: "x", Metrics: []prometheus.Collector{twice, twice}},
		"Nodes":      {Dir: "x", Nodes: nodes},
	} {
		_, err := New(cl, newShelf(), o)
		var e *OptionError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, name, e.Option)
		require.Contains(t, e.Error(), name)
	}
	require.NoError(t, cl.Close())
	require.Equal(t, "a-b.c", nameOf("a b.c"))
}
