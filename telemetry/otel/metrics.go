package amiotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/apn/ami/telemetry/internal/measure"
)

// The names of attributes. Those of metrics are the labels behind "ami.".
const (
	nodeKey     = attribute.Key("ami.node")
	actionKey   = attribute.Key("ami.action")
	actionIDKey = attribute.Key("ami.action_id")
	sentKey     = attribute.Key("ami.sent")
)

// errorType is how an action failed, after the semantic conventions, which have a
// word for all that has no other.
func errorType(outcome string) attribute.KeyValue {
	if outcome == measure.Other {
		outcome = "_OTHER"
	}
	return attribute.String("error.type", outcome)
}

// attributes turns the labels of a metric into attributes. An action that did not
// fail has no outcome.
func attributes(names, values []string) attribute.Set {
	list := make([]attribute.KeyValue, 0, len(names))
	for i, name := range names {
		switch {
		case name != "outcome":
			list = append(list, attribute.String("ami."+name, values[i]))
		case values[i] != measure.OK.String():
			list = append(list, errorType(values[i]))
		}
	}
	return attribute.NewSet(list...)
}

// A reader observes one metric in a snapshot.
type reader func(*measure.Snapshot, metric.Observer)

// instruments makes all of them, and has their values read at each collection.
func (o *Observer) instruments(m metric.Meter) error {
	var errs []error
	o.answers = histogram(m, &measure.Answer, &errs)
	o.completions = histogram(m, &measure.Completion, &errs)
	var all []metric.Observable
	var readers []reader
	for _, d := range measure.Metrics() {
		instrument, read, err := observable(m, &d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all, readers = append(all, instrument), append(readers, read)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	o.callback, err = m.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		now := o.meter.Read()
		for _, read := range readers {
			read(now, to)
		}
		return nil
	}, all...)
	return err
}

func histogram(m metric.Meter, d *measure.Metric, errs *[]error) metric.Float64Histogram {
	h, err := m.Float64Histogram(d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.About),
		metric.WithExplicitBucketBoundaries(measure.Buckets()...))
	if err != nil {
		*errs = append(*errs, err)
	}
	return h
}

// observable makes the instrument of a metric. What is measured in seconds is a
// float. A gauge is an UpDownCounter: the sum over nodes means something.
func observable(m metric.Meter, d *measure.Metric) (metric.Observable, reader, error) {
	unit, about := metric.WithUnit(d.Unit), metric.WithDescription(d.About)
	if d.Unit == "s" {
		c, err := m.Float64ObservableCounter(d.Name, unit, about)
		return c, func(s *measure.Snapshot, to metric.Observer) {
			d.Read(s, func(v float64, values ...string) {
				to.ObserveFloat64(c, v, metric.WithAttributeSet(attributes(d.Labels, values)))
			})
		}, err
	}
	var c metric.Int64Observable
	var err error
	if d.Kind == measure.Counter {
		c, err = m.Int64ObservableCounter(d.Name, unit, about)
	} else {
		c, err = m.Int64ObservableUpDownCounter(d.Name, unit, about)
	}
	return c, func(s *measure.Snapshot, to metric.Observer) {
		d.Read(s, func(v float64, values ...string) {
			if v == 0 && d.Kind == measure.Counter {
				return // it has not begun; SDKs limit the number of series
			}
			to.ObserveInt64(c, int64(v), metric.WithAttributeSet(attributes(d.Labels, values)))
		})
	}, err
}
