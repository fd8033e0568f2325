package amiotel_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/telemetry/internal/measure"
	"github.com/apn/ami/telemetry/internal/scene"
	amiotel "github.com/apn/ami/telemetry/otel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collect returns what is measured now: the series by name and attributes, of
// histograms the counts; and the metrics by name.
func collect(t *testing.T, r *metric.ManualReader) (series map[string]float64, metrics map[string]metricdata.Metrics) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, r.Collect(t.Context(), &all))
	series, metrics = map[string]float64{}, map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, "github.com/apn/ami/telemetry/otel", scope.Scope.Name)
		for _, m := range scope.Metrics {
			require.NotContains(t, metrics, m.Name, "one instrument, one name")
			metrics[m.Name] = m
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				points(series, m.Name, data.DataPoints)
			case metricdata.Sum[float64]:
				points(series, m.Name, data.DataPoints)
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					series[m.Name+text(p.Attributes)] = float64(p.Count)
				}
			default:
				t.Fatalf("%s: %T", m.Name, m.Data)
			}
		}
	}
	return series, metrics
}

func points[N int64 | float64](series map[string]float64, name string, list []metricdata.DataPoint[N]) {
	for _, p := range list {
		series[name+text(p.Attributes)] = float64(p.Value)
	}
}

func text(s attribute.Set) string {
	pairs := make([]string, 0, s.Len())
	for _, kv := range s.ToSlice() {
		pairs = append(pairs, string(kv.Key)+"="+kv.Value.String())
	}
	return "{" + strings.Join(pairs, " ") + "}"
}

// TestMetrics compares what the SDK collects with what was done (G4).
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		o, err := amiotel.New(amiotel.WithMeterProvider(provider), amiotel.WithLogDrops(func() map[string]uint64 {
			return map[string]uint64{"sink_error": 3, "mood": 4}
		}))
		require.NoError(t, err)
		s := scene.Begin(t, o)
		o.WatchCluster(s.Cluster)
		s.Play(t)
		series, metrics := collect(t, reader)
		require.Equal(t, map[string]float64{
			"ami.action.completion.duration{ami.action=Originate error.type=connection}": 1,
			"ami.action.completion.duration{ami.action=Originate}":                       1,
			"ami.action.duration{ami.action=Command error.type=invalid}":                 1,
			"ami.action.duration{ami.action=Originate error.type=error}":                 1,
			"ami.action.duration{ami.action=Originate}":                                  2, // accepted
			"ami.action.duration{ami.action=Ping error.type=not_ready}":                  1,
			"ami.action.duration{ami.action=Ping}":                                       3,
			"ami.action.duration{ami.action=other error.type=canceled}":                  1,
			"ami.action.duration{ami.action=other error.type=connection}":                1,
			"ami.action.duration{ami.action=other error.type=error}":                     2,
			"ami.action.duration{ami.action=other error.type=timeout}":                   1,
			"ami.actions.ended{ami.node=pbx1 error.type=canceled}":                       1,
			"ami.actions.ended{ami.node=pbx1 error.type=connection}":                     2,
			"ami.actions.ended{ami.node=pbx1 error.type=error}":                          3,
			"ami.actions.ended{ami.node=pbx1 error.type=invalid}":                        1,
			"ami.actions.ended{ami.node=pbx1 error.type=timeout}":                        1,
			"ami.actions.ended{ami.node=pbx1}":                                           4,
			"ami.actions.ended{ami.node=pbx3 error.type=not_ready}":                      1,
			"ami.actions.time{ami.node=pbx1}":                                            1, // the time-out
			"ami.events.received{ami.node=pbx1}":                                         17,
			"ami.events.received{ami.node=pbx2}":                                         1,
			"ami.frames.rejected{ami.node=pbx1}":                                         1,
			"ami.log.dropped{ami.reason=other}":                                          4,
			"ami.log.dropped{ami.reason=sink_error}":                                     3,
			"ami.predicate.panics{}":                                                     1,
			"ami.responses.unmatched{ami.node=pbx1}":                                     1,
			"ami.session.breaker.state{ami.lane=0 ami.node=pbx1 ami.state=closed}":       1,
			"ami.session.breaker.state{ami.lane=0 ami.node=pbx2 ami.state=closed}":       1,
			"ami.session.breaker.state{ami.lane=0 ami.node=pbx3 ami.state=closed}":       1,
			"ami.session.breaker.state{ami.lane=1 ami.node=pbx1 ami.state=closed}":       1,
			"ami.session.breaker.state{ami.lane=1 ami.node=pbx2 ami.state=closed}":       1,
			"ami.session.breaker.state{ami.lane=1 ami.node=pbx3 ami.state=closed}":       1,
			"ami.session.connects{ami.lane=0 ami.node=pbx1}":                             2,
			"ami.session.connects{ami.lane=0 ami.node=pbx2}":                             1,
			"ami.session.connects{ami.lane=1 ami.node=pbx1}":                             2,
			"ami.session.connects{ami.lane=1 ami.node=pbx2}":                             1,
			"ami.session.failures{ami.lane=0 ami.node=pbx3 ami.step=login}":              1,
			"ami.session.losses{ami.lane=0 ami.node=pbx1}":                               1,
			"ami.session.losses{ami.lane=1 ami.node=pbx1}":                               1,
			"ami.session.reconnects{ami.lane=0 ami.node=pbx1}":                           1,
			"ami.session.reconnects{ami.lane=1 ami.node=pbx1}":                           1,
			"ami.session.state{ami.lane=0 ami.node=pbx1 ami.state=ready}":                1,
			"ami.session.state{ami.lane=0 ami.node=pbx2 ami.state=ready}":                1,
			"ami.session.state{ami.lane=0 ami.node=pbx3 ami.state=disconnected}":         1,
			"ami.session.state{ami.lane=1 ami.node=pbx1 ami.state=ready}":                1,
			"ami.session.state{ami.lane=1 ami.node=pbx2 ami.state=ready}":                1,
			"ami.session.state{ami.lane=1 ami.node=pbx3 ami.state=disconnected}":         1,
			"ami.subscription.buffered{}":                                                3, // two, and the gap
			"ami.subscription.delivered{}":                                               2,
			"ami.subscription.dropped{}":                                                 6,
			"ami.subscriptions{}":                                                        1,
		}, notZero(series))
		require.Contains(t, series, "ami.session.state{ami.lane=0 ami.node=pbx1 ami.state=connecting}", "0 is a value of a state")
		require.Contains(t, series, "ami.session.pending{ami.lane=1 ami.node=pbx2}", "and of a gauge")
		require.NotContains(t, series, "ami.responses.late{ami.node=pbx1}", "a counter has not begun")

		events, ok := metrics["ami.events.received"].Data.(metricdata.Sum[int64])
		require.True(t, ok)
		require.True(t, events.IsMonotonic)
		require.Equal(t, "{event}", metrics["ami.events.received"].Unit)
		state, ok := metrics["ami.session.state"].Data.(metricdata.Sum[int64])
		require.True(t, ok)
		require.False(t, state.IsMonotonic)
		took, ok := metrics["ami.action.duration"].Data.(metricdata.Histogram[float64])
		require.True(t, ok)
		require.Equal(t, measure.Buckets(), took.DataPoints[0].Bounds)
		require.Equal(t, "s", metrics["ami.action.duration"].Unit)
		require.NotContains(t, fmt.Sprintf("%+v", metrics), scene.Canary)

		require.NoError(t, s.Cluster.Remove(t.Context(), "pbx2"))
		series, _ = collect(t, reader)
		for name := range series {
			require.NotContains(t, name, "pbx2", "it is no member any more")
		}
		require.NoError(t, o.Close())
		series, _ = collect(t, reader)
		require.NotContains(t, series, "ami.subscriptions{}", "nobody reads any more")
	})
}

func notZero(series map[string]float64) map[string]float64 {
	series = maps.Clone(series)
	maps.DeleteFunc(series, func(_ string, v float64) bool { return v == 0 })
	return series
}

// TestMetricCardinality: whatever is sent, the series stay the same (G4).
func TestMetricCardinality(t *testing.T) {
	reader := metric.NewManualReader()
	o, err := amiotel.New(amiotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	require.NoError(t, err)
	end := func(i int) {
		name := fmt.Sprint("Odd", i)
		o.ActionEnded(t.Context(), ami.ActionEnd{Node: "pbx1", Action: name, ActionID: name, Err: &ami.ActionError{Action: name, Message: name}})
	}
	end(0)
	before, _ := collect(t, reader)
	for i := range 10_000 {
		end(i)
	}
	after, _ := collect(t, reader)
	require.Len(t, before, 1)
	require.Equal(t, map[string]float64{"ami.action.duration{ami.action=other error.type=error}": 10_001}, after)
	o.ActionEnded(t.Context(), ami.ActionEnd{Node: "pbx1", Action: "Ping", Err: errRefused})
	after, _ = collect(t, reader)
	require.Contains(t, after, "ami.action.duration{ami.action=Ping error.type=_OTHER}", "OpenTelemetry's word")
}

// refusing is a meter that makes no counters.
type refusing struct{ noop.MeterProvider }

func (refusing) Meter(string, ...api.MeterOption) api.Meter { return refusingMeter{} }

type refusingMeter struct{ noop.Meter }

var errRefused = errors.New("no more counters")

func (refusingMeter) Int64ObservableCounter(string, ...api.Int64ObservableCounterOption) (api.Int64ObservableCounter, error) {
	return nil, errRefused
}

func TestRefusedInstrument(t *testing.T) {
	o, err := amiotel.New(amiotel.WithMeterProvider(refusing{}))
	require.ErrorIs(t, err, errRefused)
	require.Nil(t, o)
}
