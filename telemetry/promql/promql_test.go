package promql

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// label is one in a legend of Grafana or in an annotation.
var label = regexp.MustCompile(`\{\{ *(?:\$labels\.)?(\w+) *\}\}`)

// labelsIn returns the names of the labels in a template.
func labelsIn(template string) (names []string) {
	for _, m := range label.FindAllStringSubmatch(template, -1) {
		names = append(names, m[1])
	}
	return names
}

// TestDashboard: it names only what there is, and shows all of it (G4).
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../prometheus/dashboard.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct{ List []struct{ Definition string } }
	}
	require.NoError(t, json.Unmarshal(text, &board))
	k := scraped(t)
	shown, ids := map[string]bool{}, map[int]bool{}
	for _, p := range board.Panels {
		require.False(t, ids[p.ID], "two panels %d", p.ID)
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, name := range k.check(t, target.Expr) {
				shown[name] = true
				k.checkLabels(t, &parser.VectorSelector{Name: name}, labelsIn(target.LegendFormat), p.Title)
			}
		}
	}
	variables := 0
	for _, v := range board.Templating.List {
		query, ok := strings.CutPrefix(v.Definition, "label_values(")
		if !ok {
			continue
		}
		variables++
		selector, of, ok := strings.Cut(strings.TrimSuffix(query, ")"), ", ")
		require.True(t, ok)
		for _, name := range k.check(t, selector) {
			k.checkLabels(t, &parser.VectorSelector{Name: name}, []string{of}, v.Definition)
		}
	}
	require.Equal(t, 2, variables)
	for name := range k {
		if !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			require.True(t, shown[name], "%s is on no panel", name)
		}
	}
}

// rules are a file of them, as Prometheus reads it.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         model.Duration    `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// TestAlerts: they name only what there is, and the document has each (G4).
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../prometheus/alerts.yaml")
	require.NoError(t, err)
	var file rules
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	document, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(Ami\\w+)` ").FindAllStringSubmatch(string(document), -1) {
		documented = append(documented, m[1])
	}
	k := scraped(t)
	var alerts []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			alerts = append(alerts, r.Alert)
			require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
			names := k.check(t, r.Expr)
			require.NotEmpty(t, names, r.Alert)
			k.checkLabels(t, &parser.VectorSelector{Name: names[0]}, labelsIn(r.Annotations["summary"]), r.Alert)
		}
	}
	require.Equal(t, alerts, documented)
}

// TestCheckFinds: what is not there is found.
func TestCheckFinds(t *testing.T) {
	k := scraped(t)
	for _, bad := range []string{
		`ami_nonsense`, `ami_events_received_total{lane="0"}`, `ami_session_state{state="happy"}`,
		`ami_actions_ended_total{outcome=~"ok|fine"}`, `sum by (action) (ami_events_queued)`, `ami_action_duration_seconds`,
		`ami_session_state and on (reason) ami_session_pending`, `sum(`,
	} {
		require.True(t, failsOn(k, bad), bad)
	}
	require.False(t, failsOn(k, `sum by (lane, job) (ami_session_state{state="ready"})`))
}

// failsOn reports whether a check of expr fails. It has a goroutine of its own,
// which the failure ends.
func failsOn(k known, expr string) bool {
	probe, done := new(testing.T), make(chan struct{})
	go func() {
		defer close(done)
		k.check(probe, expr)
	}()
	<-done
	return probe.Failed()
}
