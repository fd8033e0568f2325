package amiprom_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	amiprom "github.com/apn/ami/telemetry/prometheus"

	"github.com/apn/ami/telemetry/internal/scene"
)

func TestMain(m *testing.M) {
	if os.Getenv(floodServerEnv) != "" {
		if err := serveFloods(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// scrape returns what Prometheus would get: the text, and each series in it. Of
// histograms the counts alone.
func scrape(t *testing.T, g prometheus.Gatherer) (text string, series map[string]float64) {
	t.Helper()
	srv := httptest.NewServer(promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	require.NoError(t, err)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	require.NoError(t, err)
	series = map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			series[name+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return string(body), series
}

func labels(m *dto.Metric) string {
	if len(m.GetLabel()) == 0 {
		return ""
	}
	pairs := make([]string, 0, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	return "{" + strings.Join(pairs, " ") + "}"
}

// notZero leaves out what is 0, and what says which state something is in.
func notZero(series map[string]float64) map[string]float64 {
	series = maps.Clone(series)
	maps.DeleteFunc(series, func(_ string, v float64) bool { return v == 0 })
	return series
}

// TestScrape compares the text that Prometheus gets with what was done (G4).
func TestScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := amiprom.NewCollector(amiprom.WithLogDrops(func() map[string]uint64 {
			return map[string]uint64{"sink_error": 3, "mood": 4, "weather": 5}
		}))
		s := scene.Begin(t, c)
		c.WatchCluster(s.Cluster)
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(c))
		s.Play(t)

		problems, err := testutil.GatherAndLint(registry)
		require.NoError(t, err)
		require.Empty(t, problems)
		text, series := scrape(t, registry)
		require.NotContains(t, text, scene.Canary)
		require.Equal(t, map[string]float64{
			"ami_action_completion_duration_seconds{action=Originate outcome=connection}": 1,
			"ami_action_completion_duration_seconds{action=Originate outcome=ok}":         1,
			"ami_action_duration_seconds{action=Command outcome=invalid}":                 1,
			"ami_action_duration_seconds{action=Originate outcome=error}":                 1,
			"ami_action_duration_seconds{action=Originate outcome=ok}":                    2, // accepted
			"ami_action_duration_seconds{action=Ping outcome=not_ready}":                  1,
			"ami_action_duration_seconds{action=Ping outcome=ok}":                         3,
			"ami_action_duration_seconds{action=other outcome=canceled}":                  1,
			"ami_action_duration_seconds{action=other outcome=connection}":                1,
			"ami_action_duration_seconds{action=other outcome=error}":                     2,
			"ami_action_duration_seconds{action=other outcome=timeout}":                   1,
			"ami_actions_ended_total{node=pbx1 outcome=canceled}":                         1,
			"ami_actions_ended_total{node=pbx1 outcome=connection}":                       2,
			"ami_actions_ended_total{node=pbx1 outcome=error}":                            3,
			"ami_actions_ended_total{node=pbx1 outcome=invalid}":                          1,
			"ami_actions_ended_total{node=pbx1 outcome=ok}":                               4,
			"ami_actions_ended_total{node=pbx1 outcome=timeout}":                          1,
			"ami_actions_ended_total{node=pbx3 outcome=not_ready}":                        1,
			"ami_actions_time_seconds_total{node=pbx1}":                                   1, // the time-out
			"ami_events_received_total{node=pbx1}":                                        17,
			"ami_events_received_total{node=pbx2}":                                        1,
			"ami_frames_rejected_total{node=pbx1}":                                        1,
			"ami_log_dropped_total{reason=other}":                                         9,
			"ami_log_dropped_total{reason=sink_error}":                                    3,
			"ami_predicate_panics_total":                                                  1,
			"ami_responses_unmatched_total{node=pbx1}":                                    1,
			"ami_session_breaker_state{lane=0 node=pbx1 state=closed}":                    1,
			"ami_session_breaker_state{lane=0 node=pbx2 state=closed}":                    1,
			"ami_session_breaker_state{lane=0 node=pbx3 state=closed}":                    1,
			"ami_session_breaker_state{lane=1 node=pbx1 state=closed}":                    1,
			"ami_session_breaker_state{lane=1 node=pbx2 state=closed}":                    1,
			"ami_session_breaker_state{lane=1 node=pbx3 state=closed}":                    1,
			"ami_session_connects_total{lane=0 node=pbx1}":                                2,
			"ami_session_connects_total{lane=0 node=pbx2}":                                1,
			"ami_session_connects_total{lane=1 node=pbx1}":                                2,
			"ami_session_connects_total{lane=1 node=pbx2}":                                1,
			"ami_session_failures_total{lane=0 node=pbx3 step=login}":                     1,
			"ami_session_losses_total{lane=0 node=pbx1}":                                  1,
			"ami_session_losses_total{lane=1 node=pbx1}":                                  1,
			"ami_session_reconnects_total{lane=0 node=pbx1}":                              1,
			"ami_session_reconnects_total{lane=1 node=pbx1}":                              1,
			"ami_session_state{lane=0 node=pbx1 state=ready}":                             1,
			"ami_session_state{lane=0 node=pbx2 state=ready}":                             1,
			"ami_session_state{lane=0 node=pbx3 state=disconnected}":                      1,
			"ami_session_state{lane=1 node=pbx1 state=ready}":                             1,
			"ami_session_state{lane=1 node=pbx2 state=ready}":                             1,
			"ami_session_state{lane=1 node=pbx3 state=disconnected}":                      1,
			"ami_subscription_buffered":                                                   3, // two, and the gap
			"ami_subscription_delivered_total":                                            2,
			"ami_subscription_dropped_total":                                              6,
			"ami_subscriptions":                                                           1,
		}, notZero(series))
		ofNode := 0
		for name := range series {
			if strings.Contains(name, "node=pbx2") {
				ofNode++
			}
		}
		require.Equal(t, 41+21, ofNode, "as docs/metrics.md says")
		// What has not happened yet is there as well: a rate needs the 0.
		for _, want := range []string{
			"ami_actions_ended_total{node=pbx2 outcome=backpressure}",
			"ami_session_failures_total{lane=1 node=pbx2 step=tls}",
			"ami_log_dropped_total{reason=sink_panic}",
			"ami_observer_panics_total{node=pbx1}",
			"ami_callback_panics_total{node=pbx1}",
			"ami_log_panics_total",
		} {
			require.Contains(t, series, want)
		}
		// A call that is answered after 20 ms, and a Ping without any time.
		require.Contains(t, text, `ami_action_completion_duration_seconds_bucket{action="Originate",outcome="ok",le="0.01"} 0`)
		require.Contains(t, text, `ami_action_completion_duration_seconds_bucket{action="Originate",outcome="ok",le="0.025"} 1`)
		require.Contains(t, text, `ami_action_duration_seconds_bucket{action="Ping",outcome="ok",le="0.0005"} 3`)
		require.Contains(t, text, `ami_action_duration_seconds_bucket{action="other",outcome="timeout",le="60"} 1`)
	})
}
