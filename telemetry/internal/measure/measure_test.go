package measure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/asynclog"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
	"github.com/apn/ami/telemetry/internal/measure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOutcomeOf(t *testing.T) {
	another := &ami.ActionError{Action: "Another"}
	for want, errs := range map[string][]error{
		"ok":           {nil},
		"error":        {another},
		"timeout":      {&ami.TimeoutError{Err: context.DeadlineExceeded}},
		"canceled":     {&ami.TimeoutError{Err: context.Canceled}, &ami.TimeoutError{Err: another}},
		"not_ready":    {&ami.NotReadyError{Err: another}, &ami.NotReadyError{Err: &ami.ConnError{}}},
		"no_node":      {&ami.NoNodeError{}},
		"backpressure": {&ami.BackpressureError{}},
		"connection":   {&ami.ConnError{Err: another}},
		"invalid":      {&ami.ConfigError{}, &action.InvalidError{}, &frame.EncodeError{}, &strategy.ValidationError{}},
		"protocol":     {&ami.MissingResponseError{}, &ami.TooManyMessagesError{}, &ami.ProtocolError{Err: &frame.FormatError{}}},
		"other":        {errors.New("some other"), fmt.Errorf("wrapped: %w", another)},
	} {
		for _, err := range errs {
			require.Equal(t, want, measure.OutcomeOf(err).String(), "%T", err)
		}
		require.Contains(t, measure.Outcomes(), want)
	}
	require.Len(t, measure.Outcomes(), 11)
}

func TestAction(t *testing.T) {
	for range 2 { // the second time it is known
		require.Equal(t, "Ping", measure.Action("Ping"))
		require.Equal(t, "Ping", measure.Action("pInG"))
		require.Equal(t, "other", measure.Action("Frobnicate"))
		require.Equal(t, "other", measure.Action(""))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { measure.Action("Ping") }), "it is asked for at each action")
}

// TestEveryFigure: each metric reads its own field of Stats.
func TestEveryFigure(t *testing.T) {
	node := measure.Node{
		Key: "pbx1",
		Stats: ami.Stats{
			State: ami.Ready, Pending: 100, Outbound: 200, OutboundBytes: 300, Queued: 4,
			Connects: 5, Failures: 6, Losses: 7, BreakerChanges: 8, Events: 9, EventsDropped: 10, Rejected: 11,
			Unmatched: 12, Late: 13, ObserverPanics: 14, CallbackPanics: 26, FailuresBy: map[string]uint64{"dial": 4, "tls": 2}, Breaker: "half-open",
			Lanes: []ami.LaneStats{
				{
					State: ami.Connecting, Pending: 1, Outbound: 2, OutboundBytes: 3, Connects: 15, Failures: 16,
					Losses: 17, BreakerChanges: 18, FailuresBy: map[string]uint64{"login": 16}, Breaker: "open",
				},
				{Pending: 10, Outbound: 20, OutboundBytes: 30, Breaker: "closed", FailuresBy: map[string]uint64{"new": 1}},
			},
		},
		Actions: measure.Actions{Time: 1500 * time.Millisecond},
	}
	node.Actions.Ended[measure.Backpressure] = 19
	delivery := ami.DeliveryStats{Subscriptions: 20, Buffered: 21, Delivered: 22, Dropped: 23, PredicatePanics: 24}
	for _, stats := range []any{node.Stats, node.Stats.Lanes[0], delivery} {
		for field, v := range reflect.ValueOf(stats).Fields() {
			if (v.CanInt() || v.CanUint()) && field.Name != "Epoch" && field.Name != "LogPanics" { // which is below
				require.False(t, v.IsZero(), "a figure without a metric: %s", field.Name)
			}
		}
	}
	node.Sessions = measure.Sessions(&node.Stats)
	got := map[string]float64{}
	for _, m := range measure.Metrics() {
		m.Read(&measure.Snapshot{
			Nodes:    []measure.Node{node},
			Delivery: []ami.DeliveryStats{delivery},
			LogDrops: map[string]uint64{"closed": 25}, LogPanics: 27,
		}, func(v float64, labels ...string) {
			require.Len(t, labels, len(m.Labels), m.Name)
			if v != 0 {
				got[strings.TrimSpace(m.Name+" "+strings.Join(labels, " "))] = v
			}
		})
	}
	require.Equal(t, map[string]float64{
		"ami.actions.ended pbx1 backpressure":        19,
		"ami.actions.time pbx1":                      1.5,
		"ami.session.state pbx1 0 ready":             1,
		"ami.session.state pbx1 1 connecting":        1,
		"ami.session.state pbx1 2 disconnected":      1,
		"ami.session.connects pbx1 0":                5,
		"ami.session.connects pbx1 1":                15,
		"ami.session.reconnects pbx1 0":              4,
		"ami.session.reconnects pbx1 1":              14,
		"ami.session.failures pbx1 0 dial":           4,
		"ami.session.failures pbx1 0 tls":            2,
		"ami.session.failures pbx1 1 login":          16,
		"ami.session.failures pbx1 2 new":            1,
		"ami.session.losses pbx1 0":                  7,
		"ami.session.losses pbx1 1":                  17,
		"ami.session.breaker.state pbx1 0 half-open": 1,
		"ami.session.breaker.state pbx1 1 open":      1,
		"ami.session.breaker.state pbx1 2 closed":    1,
		"ami.session.breaker.changes pbx1 0":         8,
		"ami.session.breaker.changes pbx1 1":         18,
		"ami.session.pending pbx1 0":                 89,
		"ami.session.pending pbx1 1":                 1,
		"ami.session.pending pbx1 2":                 10,
		"ami.session.outbound.actions pbx1 0":        178,
		"ami.session.outbound.actions pbx1 1":        2,
		"ami.session.outbound.actions pbx1 2":        20,
		"ami.session.outbound.size pbx1 0":           267,
		"ami.session.outbound.size pbx1 1":           3,
		"ami.session.outbound.size pbx1 2":           30,
		"ami.events.received pbx1":                   9,
		"ami.events.queued pbx1":                     4,
		"ami.events.dropped pbx1":                    10,
		"ami.frames.rejected pbx1":                   11,
		"ami.responses.unmatched pbx1":               12,
		"ami.responses.late pbx1":                    13,
		"ami.observer.panics pbx1":                   14,
		"ami.subscriptions":                          20,
		"ami.subscription.buffered":                  21,
		"ami.subscription.delivered":                 22,
		"ami.subscription.dropped":                   23,
		"ami.predicate.panics":                       24,
		"ami.log.dropped closed":                     25,
		"ami.callback.panics pbx1":                   26,
		"ami.log.panics":                             27,
	}, got)

	node.Stats.Pending = 5 // read before those of the lanes grew
	require.Zero(t, measure.Sessions(&node.Stats)[0].Pending)
}

// TestLogDrops: package asynclog has no reason that is unknown here.
func TestLogDrops(t *testing.T) {
	var m measure.Meter
	h, err := asynclog.New(slog.DiscardHandler)
	require.NoError(t, err)
	require.NoError(t, h.Close(t.Context()))
	measure.CountLogDrops(&m, func() map[asynclog.Reason]uint64 { return h.Stats().Dropped })
	drops := m.Read().LogDrops
	require.Len(t, drops, len(h.Stats().Dropped)+1)
	for r := range h.Stats().Dropped {
		require.Contains(t, drops, string(r))
	}
	measure.CountLogDrops(&m, func() map[string]uint64 { return map[string]uint64{"a": 1, "b": 2, "closed": 3} })
	require.Equal(t, map[string]uint64{"capacity_exceeded": 0, "sink_error": 0, "sink_panic": 0, "closed": 3, "other": 3}, m.Read().LogDrops)
}

// TestDocument: the table in the documents has each metric, and no other (G4).
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/metrics.md")
	require.NoError(t, err)
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `ami_") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, m := range measure.All() {
		labels := strings.Join(m.Labels, ", ")
		if labels == "" {
			labels = "–"
		}
		want = append(want, fmt.Sprintf("| %#q | %#q | %s | %s | %s | %s |", m.Prometheus(), m.Name, m.Kind, strings.Trim(m.Unit, "{}"), labels, m.About))
	}
	slices.Sort(want)
	slices.Sort(found)
	require.Equal(t, want, found)
	for _, value := range slices.Concat(measure.Outcomes(), measure.Steps(nil), measure.Reasons()) {
		require.Contains(t, string(text), "`"+value+"`", "a value of a label")
	}
}

// TestOneAdapterAlone: who imports one adapter does not compile what the other
// needs.
func TestOneAdapterAlone(t *testing.T) {
	for adapter, foreign := range map[string]string{"prometheus": "go.opentelemetry.io/", "otel": "github.com/prometheus/"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../../"+adapter).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "github.com/apn/ami/telemetry/internal/measure\n")
		require.NotContains(t, string(out), "\n"+foreign, adapter)
	}
}
