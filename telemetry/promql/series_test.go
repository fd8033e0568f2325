package promql

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/asynclog"
	"github.com/apn/ami/telemetry/internal/scene"
	amiprom "github.com/apn/ami/telemetry/prometheus"
)

// ofTarget are labels that Prometheus adds to what it scrapes.
var ofTarget = []string{"job", "instance"}

// known are the series that there are: of each metric the values of each label.
type known map[string]map[string][]string

// scraped returns what a cluster shows on which everything has happened.
func scraped(t *testing.T) known {
	t.Helper()
	found := known{}
	synctest.Test(t, func(t *testing.T) {
		c := amiprom.NewCollector(amiprom.WithLogDrops(func() map[asynclog.Reason]uint64 { return nil }))
		s := scene.Begin(t, c)
		c.WatchCluster(s.Cluster)
		s.Play(t)
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(c))
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			values := map[string][]string{}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
			if f.GetMetric()[0].GetHistogram() == nil {
				found[f.GetName()] = values
				continue
			}
			found[f.GetName()+"_sum"], found[f.GetName()+"_count"] = values, values
			found[f.GetName()+"_bucket"] = map[string][]string{"le": nil}
			maps.Copy(found[f.GetName()+"_bucket"], values)
		}
	})
	return found
}

// check wants an expression to name nothing that is not there, and returns the
// metrics that it names.
func (k known) check(t *testing.T, expr string) (names []string) {
	t.Helper()
	// What Grafana puts in.
	expr = strings.NewReplacer("$__rate_interval", "5m", "$node", ".*", "$instance", ".*").Replace(expr)
	require.NotContains(t, expr, "$")
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	require.NoError(t, err, expr)
	parser.Inspect(root, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			names = append(names, n.Name)
			values, ok := k[n.Name]
			require.True(t, ok, "no metric %s: %s", n.Name, expr)
			for _, m := range n.LabelMatchers {
				checkMatcher(t, m, values, expr)
			}
		case *parser.AggregateExpr:
			k.checkLabels(t, n.Expr, n.Grouping, expr)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				k.checkLabels(t, n, n.VectorMatching.MatchingLabels, expr)
			}
		}
		return nil
	})
	return names
}

// checkMatcher wants each value that a matcher names to be one that there is.
func checkMatcher(t *testing.T, m *labels.Matcher, values map[string][]string, expr string) {
	t.Helper()
	if m.Name == model.MetricNameLabel || slices.Contains(ofTarget, m.Name) {
		return
	}
	there, ok := values[m.Name]
	require.True(t, ok, "no label %s: %s", m.Name, expr)
	for value := range strings.SplitSeq(m.Value, "|") {
		exact := regexp.MustCompile("^(?:" + value + ")$")
		require.True(t, slices.ContainsFunc(there, exact.MatchString), "%s is never %q: %s", m.Name, value, expr)
	}
}

// checkLabels wants all series below an expression to have the labels.
func (k known) checkLabels(t *testing.T, below parser.Expr, names []string, expr string) {
	t.Helper()
	parser.Inspect(below, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			for _, name := range names {
				_, has := k[s.Name][name]
				require.True(t, has || slices.Contains(ofTarget, name), "%s has no label %s: %s", s.Name, name, expr)
			}
		}
		return nil
	})
}
