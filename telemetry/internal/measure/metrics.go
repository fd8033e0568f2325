package measure

import (
	"maps"
	"slices"
	"strings"

	"github.com/apn/ami"
)

// A Metric is one thing that is measured.
type Metric struct {
	Name  string // OpenTelemetry's way; see Prometheus
	Unit  string // UCUM: "s", "By", "1", or "{what is counted}"
	Kind  Kind
	About string // what it is, for whoever reads dashboards

	// Labels are the names of its labels. Their values are bounded: by the nodes
	// and lanes there are, or by a list in this package.
	Labels []string
	// Read gives the values in a snapshot, with the values of Labels. Nil for a
	// Histogram.
	Read func(*Snapshot, Emit)
}

// Emit takes one value.
type Emit func(value float64, labels ...string)

// Kind is the kind of a metric.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Prometheus returns the name after the conventions of Prometheus, by the rules by
// which OpenTelemetry's names are translated.
func (m *Metric) Prometheus() string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// Buckets are the bounds of the histograms in seconds: from an answer over
// loopback to an Originate that rings for a minute.
func Buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Answer and Completion are the durations of actions.
var (
	Answer = Metric{
		Name: "ami.action.duration", Unit: "s", Kind: Histogram, Labels: []string{"action", "outcome"},
		About: "Time from the call of Send to Asterisk's whole answer; of an action that completes by an event later, to its acceptance.",
	}
	Completion = Metric{
		Name: "ami.action.completion.duration", Unit: "s", Kind: Histogram, Labels: []string{"action", "outcome"},
		About: "Time from the acceptance of an action that completes by an event later, to its end.",
	}
)

// Metrics returns all others.
func Metrics() []Metric { return metrics }

// All returns the durations and all others.
func All() []Metric { return append([]Metric{Answer, Completion}, metrics...) }

var metrics = []Metric{
	ofNodeBy("ami.actions.ended", "{action}", Counter, "Actions that have ended.",
		"outcome", func(n *Node, emit func(string, float64)) {
			for i, v := range n.Actions.Ended {
				emit(Outcome(i).String(), float64(v))
			}
		}),
	ofNode("ami.actions.time", "s", Counter, "Time until the answers of all actions, added up: divided by the actions, the mean latency of the node.",
		func(n *Node) float64 { return n.Actions.Time.Seconds() }),

	ofSessionBy("ami.session.state", "1", Gauge, "1 for the state that the session is in, 0 for the others.",
		"state", func(s *Session, emit func(string, float64)) {
			for st := ami.Disconnected; st <= ami.Ready; st++ {
				emit(st.String(), oneIf(s.State == st))
			}
		}),
	ofSession("ami.session.connects", "{login}", Counter, "Logins that succeeded.",
		func(s *Session) uint64 { return s.Connects }),
	ofSession("ami.session.reconnects", "{login}", Counter, "Logins that succeeded, without the first.",
		func(s *Session) uint64 { return max(s.Connects, 1) - 1 }),
	ofSessionBy("ami.session.failures", "{attempt}", Counter, "Attempts to connect that failed, by the step that did.",
		"step", func(s *Session, emit func(string, float64)) {
			for _, step := range Steps(s.FailuresBy) {
				emit(step, float64(s.FailuresBy[step]))
			}
		}),
	ofSession("ami.session.losses", "{session}", Counter, "Sessions that ended unasked: transport errors, dead peers, restarts of Asterisk.",
		func(s *Session) uint64 { return s.Losses }),
	ofSessionBy("ami.session.breaker.state", "1", Gauge, "1 for the state that the circuit breaker is in, 0 for the others.",
		"state", func(s *Session, emit func(string, float64)) {
			for _, st := range []string{"closed", "half-open", "open"} {
				emit(st, oneIf(s.Breaker == st))
			}
		}),
	ofSession("ami.session.breaker.changes", "{change}", Counter, "Changes of the circuit breaker's state.",
		func(s *Session) uint64 { return s.BreakerChanges }),
	ofSession("ami.session.pending", "{action}", Gauge, "Actions that wait for their answer.",
		func(s *Session) int { return s.Pending }),
	ofSession("ami.session.outbound.actions", "{action}", Gauge, "Actions that wait to be written.",
		func(s *Session) int { return s.Outbound }),
	ofSession("ami.session.outbound.size", "By", Gauge, "Bytes that wait to be written.",
		func(s *Session) int64 { return s.OutboundBytes }),

	ofNode("ami.events.received", "{event}", Counter, "Events received.",
		func(n *Node) uint64 { return n.Stats.Events }),
	ofNode("ami.events.queued", "{event}", Gauge, "Events that wait in the node's queue to be dispatched.",
		func(n *Node) int { return n.Stats.Queued }),
	ofNode("ami.events.dropped", "{event}", Counter, "Events dropped by the node's queue, before any subscription.",
		func(n *Node) uint64 { return n.Stats.EventsDropped }),
	ofNode("ami.frames.rejected", "{frame}", Counter, "Malformed or oversize messages that were discarded.",
		func(n *Node) uint64 { return n.Stats.Rejected }),
	ofNode("ami.responses.unmatched", "{response}", Counter, "Responses with an unknown or no ActionID.",
		func(n *Node) uint64 { return n.Stats.Unmatched }),
	ofNode("ami.responses.late", "{response}", Counter, "Answers to actions that no longer waited.",
		func(n *Node) uint64 { return n.Stats.Late }),
	ofNode("ami.observer.panics", "{panic}", Counter, "Panics of observers.",
		func(n *Node) uint64 { return n.Stats.ObserverPanics }),
	ofNode("ami.callback.panics", "{panic}", Counter, "Panics of what an attempt to connect calls: SecretFunc, TLSFunc, dialer, resolver.",
		func(n *Node) uint64 { return n.Stats.CallbackPanics }),

	ofDelivery("ami.subscriptions", "{subscription}", Gauge, "Open subscriptions.",
		func(d *ami.DeliveryStats) int { return d.Subscriptions }),
	ofDelivery("ami.subscription.buffered", "{event}", Gauge, "Events that wait for their consumers, of all subscriptions.",
		func(d *ami.DeliveryStats) int { return d.Buffered }),
	ofDelivery("ami.subscription.delivered", "{event}", Counter, "Events that consumers have taken, each as often as it was.",
		func(d *ami.DeliveryStats) uint64 { return d.Delivered }),
	ofDelivery("ami.subscription.dropped", "{event}", Counter, "Events that consumers have lost, those dropped by the queues of nodes included.",
		func(d *ami.DeliveryStats) uint64 { return d.Dropped }),
	ofDelivery("ami.predicate.panics", "{panic}", Counter, "Panics of predicates of subscriptions.",
		func(d *ami.DeliveryStats) uint64 { return d.PredicatePanics }),

	{
		"ami.log.panics", "{panic}", Counter, "Panics of the log handler, which cost a record each.",
		nil,
		func(s *Snapshot, emit Emit) {
			if len(s.Delivery) > 0 { // something is watched
				emit(float64(s.LogPanics))
			}
		},
	},
	{
		"ami.log.dropped", "{record}", Counter, "Log records lost.",
		[]string{"reason"},
		func(s *Snapshot, emit Emit) {
			for r, n := range s.LogDrops {
				emit(float64(n), r)
			}
		},
	},
}

type number interface{ int | int64 | uint64 | float64 }

func ofNode[N number](name, unit string, kind Kind, about string, read func(*Node) N) Metric {
	return Metric{name, unit, kind, about, []string{"node"}, func(s *Snapshot, emit Emit) {
		for i := range s.Nodes {
			emit(float64(read(&s.Nodes[i])), s.Nodes[i].Key)
		}
	}}
}

func ofNodeBy(name, unit string, kind Kind, about, label string, read func(*Node, func(string, float64))) Metric {
	return Metric{name, unit, kind, about, []string{"node", label}, func(s *Snapshot, emit Emit) {
		for i := range s.Nodes {
			read(&s.Nodes[i], func(value string, v float64) { emit(v, s.Nodes[i].Key, value) })
		}
	}}
}

func ofSession[N number](name, unit string, kind Kind, about string, read func(*Session) N) Metric {
	return Metric{name, unit, kind, about, []string{"node", "lane"}, func(s *Snapshot, emit Emit) {
		for _, n := range s.Nodes {
			for i := range n.Sessions {
				emit(float64(read(&n.Sessions[i])), n.Key, n.Sessions[i].Lane)
			}
		}
	}}
}

func ofSessionBy(name, unit string, kind Kind, about, label string, read func(*Session, func(string, float64))) Metric {
	return Metric{name, unit, kind, about, []string{"node", "lane", label}, func(s *Snapshot, emit Emit) {
		for _, n := range s.Nodes {
			for i := range n.Sessions {
				read(&n.Sessions[i], func(value string, v float64) { emit(v, n.Key, n.Sessions[i].Lane, value) })
			}
		}
	}}
}

func ofDelivery[N number](name, unit string, kind Kind, about string, read func(*ami.DeliveryStats) N) Metric {
	return Metric{name, unit, kind, about, nil, func(s *Snapshot, emit Emit) {
		for i := range s.Delivery {
			emit(float64(read(&s.Delivery[i])))
		}
	}}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// allSteps are those at which an attempt can fail; see ami.ConnError.
var allSteps = []string{"resolve", "secret", "dial", "tls", "banner", "login"}

// Steps returns all that an attempt can fail at, and what else has failed.
func Steps(failures map[string]uint64) []string {
	list := allSteps
	for _, s := range slices.Sorted(maps.Keys(failures)) {
		if !slices.Contains(list, s) {
			list = append(slices.Clip(list), s)
		}
	}
	return list
}
