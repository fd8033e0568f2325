// Package amiotel tells OpenTelemetry what a client or a cluster does: metrics,
// and a span for each action.
//
//	telemetry, err := amiotel.New()
//	if err != nil {
//		return err
//	}
//	defer telemetry.Close()
//	cluster, err := ami.NewCluster(nodes, ami.WithObserver(telemetry))
//	if err != nil {
//		return err
//	}
//	telemetry.WatchCluster(cluster)
//
// docs/metrics.md of the repository lists the metrics. Their attributes are
// bounded: ami.node and ami.lane by the nodes there are, ami.action by the
// catalogue of Asterisk's actions, all others being "other", and the rest by
// lists. An action that failed has error.type; one that did not has none. SDKs
// keep 2,000 series of an instrument unless told otherwise, and the states of 400
// sessions are as many: with more, raise metric.WithCardinalityLimit.
//
// The span of an action is a child of the span in the caller's context, of kind
// client, and is called "ami Originate" after the action. It ends with the answer.
// If the action completes by an event later (an Originate with Async), it ends
// when Asterisk has accepted the action, and a second span "ami Originate outcome"
// goes from there to the end, linked to the first. Spans have the ActionID, but
// no header of the action, and no text of an error.
package amiotel

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/apn/ami"
	"github.com/apn/ami/telemetry/internal/measure"
)

const scope = "github.com/apn/ami/telemetry/otel"

// An Observer is the ami.Observer that makes spans and measures how long actions
// take, and reads the counters of one client or cluster whenever metrics are
// collected. Its methods may be called from any goroutine.
type Observer struct {
	meter       measure.Meter
	tracer      trace.Tracer
	answers     metric.Float64Histogram
	completions metric.Float64Histogram
	callback    metric.Registration
	find        atomic.Pointer[func(node string) (addr string, ok bool)]
}

type config struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider
	setup   func(*measure.Meter)
}

// An Option sets up an Observer.
type Option func(*config)

// WithMeterProvider sends metrics to p. Default: otel.GetMeterProvider.
func WithMeterProvider(p metric.MeterProvider) Option { return func(c *config) { c.meters = p } }

// WithTracerProvider sends spans to p. Default: otel.GetTracerProvider.
func WithTracerProvider(p trace.TracerProvider) Option { return func(c *config) { c.tracers = p } }

// WithLogDrops counts the log records that were lost, by reason: those of package
// asynclog, and any other as "other". drops is called whenever metrics are
// collected and must not block. Default: there is no such metric.
//
//	amiotel.WithLogDrops(func() map[asynclog.Reason]uint64 { return handler.Stats().Dropped })
func WithLogDrops[R ~string](drops func() map[R]uint64) Option {
	return func(c *config) { c.setup = func(m *measure.Meter) { measure.CountLogDrops(m, drops) } }
}

// New returns an Observer. Give it to ami.WithObserver, and tell it what to watch
// when that has been made. The error is the meter's, which refused an instrument.
func New(opts ...Option) (*Observer, error) {
	cfg := config{meters: otel.GetMeterProvider(), tracers: otel.GetTracerProvider()}
	for _, opt := range opts {
		opt(&cfg)
	}
	o := &Observer{tracer: cfg.tracers.Tracer(scope)}
	if cfg.setup != nil {
		cfg.setup(&o.meter)
	}
	if err := o.instruments(cfg.meters.Meter(scope)); err != nil {
		return nil, err
	}
	return o, nil
}

// WatchClient has the observer read one client, instead of what it read before.
func (o *Observer) WatchClient(client *ami.Client) {
	o.meter.WatchClient(client)
	addr := client.Node().Addr
	o.locate(func(string) (string, bool) { return addr, true })
}

// WatchCluster has the observer read a cluster, instead of what it read before.
// Nodes that come later are read as well, and those that were removed no longer.
func (o *Observer) WatchCluster(cluster *ami.Cluster) {
	o.meter.WatchCluster(cluster)
	o.locate(func(node string) (string, bool) {
		c, ok := cluster.Node(node)
		if !ok {
			return "", false
		}
		return c.Node().Addr, true
	})
}

// locate has spans tell the addresses of nodes, host:port.
func (o *Observer) locate(find func(node string) (addr string, ok bool)) { o.find.Store(&find) }

// Close ends the reading. Actions that are observed after it are still told.
func (o *Observer) Close() error { return o.callback.Unregister() }

// ActionStarted implements ami.ActionStarter.
func (o *Observer) ActionStarted(ctx context.Context, node, action string) context.Context {
	return o.start(ctx, node, action)
}

// ActionEnded implements ami.Observer.
func (o *Observer) ActionEnded(ctx context.Context, e ami.ActionEnd) {
	o.meter.Count(&e)
	answer, completion, ok := measure.Phases(&e)
	record(ctx, o.answers, answer)
	if ok {
		record(ctx, o.completions, completion)
	}
	o.end(ctx, &e)
}

func record(ctx context.Context, h metric.Float64Histogram, p measure.Phase) {
	attrs := []attribute.KeyValue{actionKey.String(p.Action)}
	if p.Outcome != measure.OK {
		attrs = append(attrs, errorType(p.Outcome.String()))
	}
	h.Record(ctx, p.Seconds(), metric.WithAttributes(attrs...))
}
