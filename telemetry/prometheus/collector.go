// Package amiprom shows Prometheus what a client or a cluster does.
//
//	metrics := amiprom.NewCollector()
//	cluster, err := ami.NewCluster(nodes, ami.WithObserver(metrics))
//	if err != nil {
//		return err
//	}
//	metrics.WatchCluster(cluster)
//	prometheus.MustRegister(metrics)
//
// Counters and states are read from Stats when Prometheus scrapes; between two
// scrapes only the durations of actions cost anything. docs/metrics.md of the
// repository lists the metrics, dashboard.json beside this file shows them in
// Grafana, and alerts.yaml has alert rules.
//
// Every label is bounded: node and lane by the nodes there are, which a node
// leaves with its removal; action by the catalogue of Asterisk's actions, all
// others being "other"; the rest by lists. No ActionID, no header and no error
// text is in any.
//
// For two clusters in one process make a collector for each, and register them
// with prometheus.WrapRegistererWith and a label that tells them apart.
package amiprom

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apn/ami"
	"github.com/apn/ami/telemetry/internal/measure"
)

// A Collector is a prometheus.Collector for one client or cluster, and the
// ami.Observer that tells it how long actions take. Its methods may be called
// from any goroutine.
type Collector struct {
	meter       measure.Meter
	metrics     []measure.Metric
	descs       []*prometheus.Desc // of metrics, in their order
	answers     *prometheus.HistogramVec
	completions *prometheus.HistogramVec
}

// An Option sets up a Collector.
type Option func(*Collector)

// WithLogDrops counts the log records that were lost, by reason: those of package
// asynclog, and any other as "other". drops is called at each scrape and must not
// block. Default: there is no such metric.
//
//	amiprom.WithLogDrops(func() map[asynclog.Reason]uint64 { return handler.Stats().Dropped })
func WithLogDrops[R ~string](drops func() map[R]uint64) Option {
	return func(c *Collector) { measure.CountLogDrops(&c.meter, drops) }
}

// NewCollector returns a Collector. Give it to ami.WithObserver, tell it what to
// watch when that has been made, and register it, in any order.
func NewCollector(opts ...Option) *Collector {
	c := &Collector{
		metrics: measure.Metrics(),
		answers: histogram(&measure.Answer), completions: histogram(&measure.Completion),
	}
	for i := range c.metrics {
		m := &c.metrics[i]
		c.descs = append(c.descs, prometheus.NewDesc(m.Prometheus(), m.About, m.Labels, nil))
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

func histogram(m *measure.Metric) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.Prometheus(), Help: m.About, Buckets: measure.Buckets(),
	}, m.Labels)
}

// WatchClient has the collector show one client, instead of what it showed before.
func (c *Collector) WatchClient(client *ami.Client) { c.meter.WatchClient(client) }

// WatchCluster has the collector show a cluster, instead of what it showed before.
// Nodes that come later are shown as well, and those that were removed no longer.
func (c *Collector) WatchCluster(cluster *ami.Cluster) { c.meter.WatchCluster(cluster) }

// ActionEnded implements ami.Observer.
func (c *Collector) ActionEnded(_ context.Context, e ami.ActionEnd) {
	c.meter.Count(&e)
	answer, completion, ok := measure.Phases(&e)
	observe(c.answers, answer)
	if ok {
		observe(c.completions, completion)
	}
}

func observe(h *prometheus.HistogramVec, p measure.Phase) {
	h.WithLabelValues(p.Action, p.Outcome.String()).Observe(p.Seconds())
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.answers.Describe(ch)
	c.completions.Describe(ch)
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It calls Stats of what is watched.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.answers.Collect(ch)
	c.completions.Collect(ch)
	now := c.meter.Read()
	for i, m := range c.metrics {
		kind := prometheus.GaugeValue
		if m.Kind == measure.Counter {
			kind = prometheus.CounterValue
		}
		m.Read(now, func(v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(c.descs[i], kind, v, labels...)
		})
	}
}
