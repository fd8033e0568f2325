package bridge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of a bridge, and the collector that shows them.
type metrics struct {
	bridge *Bridge

	records  *prometheus.CounterVec // by kind
	refused  prometheus.Counter
	fenced   prometheus.Counter
	failures prometheus.Counter
	publish  prometheus.Histogram
	requests *prometheus.CounterVec // by outcome
	behind   prometheus.Gauge
}

// The figures that are read when somebody asks.
var (
	descUp      = prometheus.NewDesc("ami_bridge_broker_up", "1 if the broker took what was last offered to it, else 0.", nil, nil)
	descEntries = prometheus.NewDesc("ami_bridge_spool_entries", "Records in the spool that are not published.", nil, nil)
	descBytes   = prometheus.NewDesc("ami_bridge_spool_bytes", "Bytes of the spool on disk.", nil, nil)
	descFailed  = prometheus.NewDesc("ami_bridge_spool_failed", "1 if the disk refused what was last spooled, which is in memory then, else 0.", nil, nil)
	descLost    = prometheus.NewDesc("ami_bridge_records_lost_total", "Records that were lost, by where. All of them are told as gaps.", []string{"where"}, nil)
)

func newMetrics(b *Bridge) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		bridge: b,
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ami_bridge_records_published_total", Help: "Records that the broker has confirmed.",
		}, []string{"kind"}),
		refused:  counter("ami_bridge_records_refused_total", "Records that the broker will never take."),
		fenced:   counter("ami_bridge_records_fenced_total", "Records that were dropped because another process holds the node."),
		failures: counter("ami_bridge_publish_failures_total", "Attempts to publish that failed because the broker was away."),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ami_bridge_publish_duration_seconds", Help: "Time until the broker has confirmed a batch of records.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ami_bridge_requests_total", Help: "Requests for actions that were answered.",
		}, []string{"outcome"}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ami_bridge_delay_seconds", Help: "Age of the record that was published last, at that time.",
		}),
	}
	for k := KindEvent; k <= KindTakeover; k++ {
		m.records.WithLabelValues(k.String()) // they begin at 0
	}
	return m
}

// published counts what was stored; whole says that it is all that was offered.
func (m *metrics) published(stored []Record, took time.Duration, whole bool) {
	var kinds [KindTakeover + 1]int
	for i := range stored {
		kinds[min(stored[i].Kind, KindTakeover)]++
	}
	for k, n := range kinds {
		if n > 0 {
			m.records.WithLabelValues(Kind(k).String()).Add(float64(n))
		}
	}
	if n := len(stored); n > 0 {
		m.behind.Set(max(time.Since(stored[n-1].Time), 0).Seconds())
	}
	if whole {
		m.publish.Observe(took.Seconds())
	}
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.records, m.refused, m.fenced, m.failures, m.publish, m.requests, m.behind}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.parts() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{descUp, descEntries, descBytes, descFailed, descLost} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.parts() {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	l := &m.bridge.lost
	for where, n := range map[string]uint64{"subscription": l.subscription.Load(), "spool": l.spool.Load(), "too_large": l.large.Load()} {
		ch <- prometheus.MustNewConstMetric(descLost, prometheus.CounterValue, float64(n), where)
	}
	w := m.bridge.work.Load()
	if w == nil {
		return // it does not run yet
	}
	s := w.spool.Stats()
	gauge(descUp, number(!w.publisher.outage.away.Load()))
	gauge(descFailed, number(w.writer.failed.Load()))
	gauge(descEntries, float64(s.Entries))
	gauge(descBytes, float64(s.Bytes))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
