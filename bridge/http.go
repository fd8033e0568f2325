package bridge

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apn/ami"
)

// A readiness is the answer of /readyz.
type readiness struct {
	Ready  bool   `json:"ready"`
	Broker bool   `json:"broker"`           // it took what was last offered to it
	Nodes  int    `json:"nodes"`            // that this process holds
	Up     int    `json:"nodes_ready"`      // of these
	Reason string `json:"reason,omitempty"` // why it is not ready
}

// Handler returns what other programs may ask the bridge:
//
//	/healthz   200 as long as the process lives. A dead node or broker is no reason
//	           to restart it: that would drop all other sessions.
//	/readyz    200 if Run has begun and not ended, the broker takes records, and a
//	           node is ready, or with leases no node is held; else 503.
//	/metrics   the figures of the bridge, and of Options.Metrics, for Prometheus.
//	/nodes     the states of the nodes that are held, as a JSON list of NodeState.
//
// It knows no users: do not let strangers ask it. It may be used before Run and
// after it.
func (b *Bridge) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // who asked may have left
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := b.readiness()
		code := http.StatusOK
		if !r.Ready {
			code = http.StatusServiceUnavailable
		}
		reply(w, code, r)
	})
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, b.states.all())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
	return mux
}

func (b *Bridge) readiness() readiness {
	var r readiness
	for _, s := range b.cluster.States() {
		r.Nodes++
		if s == ami.Ready {
			r.Up++
		}
	}
	if k := b.options.Leases; k != nil { // those that wait for their fence as well
		r.Nodes = max(r.Nodes, len(k.Held()))
	}
	w := b.work.Load()
	r.Broker = w != nil && !w.publisher.outage.away.Load()
	switch {
	case w == nil:
		r.Reason = "it does not run"
	case w.leaving.Load():
		r.Reason = "it is ending"
	case !r.Broker:
		r.Reason = "the broker is away"
	case r.Up == 0 && (r.Nodes > 0 || b.options.Leases == nil):
		r.Reason = "no node is ready"
	default:
		r.Ready = true
	}
	return r
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who asked may have left
}
