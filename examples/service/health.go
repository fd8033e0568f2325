package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/apn/ami"
)

// health answers whether the process lives and whether it can do its work.
type health struct {
	cluster  *ami.Cluster
	need     int
	stopping atomic.Bool
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool                  `json:"ready"`
	Nodes map[string]nodeHealth `json:"nodes"`
}

type nodeHealth struct {
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"` // holds the node's address, never its secret
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // who asked may have left
	})
	mux.HandleFunc("GET /readyz", h.readyz)
	return mux
}

func (h *health) readyz(w http.ResponseWriter, _ *http.Request) {
	answer, ready := readiness{Nodes: map[string]nodeHealth{}}, 0
	for key, c := range h.cluster.Nodes() {
		s := c.Stats()
		n := nodeHealth{State: s.State.String(), Since: s.Since}
		if s.Reason != nil {
			n.Reason = s.Reason.Error()
		}
		if s.State == ami.Ready {
			ready++
		}
		answer.Nodes[key] = n
	}
	answer.Ready = ready >= h.need && !h.stopping.Load()
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked may have left
}
