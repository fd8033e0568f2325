package ami

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/setting"
)

// Check reports all that NewCluster would refuse of these nodes and options: a
// *ConfigError, or several of them joined. It does no I/O, starts nothing, and
// calls no SecretFunc and no TLSFunc.
func Check(nodes []Node, opts ...Option) error {
	_, err := check(nodes, opts)
	return err
}

// check returns a *ConfigError for each value that is out of its range or
// contradicts another one.
func (c *config) check() []*ConfigError {
	var errs []*ConfigError
	refuse := func(e ConfigError) { errs = append(errs, &e) }
	good := make(map[setting.ID]value)
	for id, v := range c.values() {
		if s := &setting.Table[id]; s.Takes(v.get()) {
			good[id] = v
		} else {
			refuse(ConfigError{Key: s.Option, Value: v.given(), Reason: "must be " + s.Range()})
		}
	}
	for _, r := range setting.Relations {
		v, ok := good[r.ID]
		other, both := good[r.Other]
		if ok && both && !r.Holds(v.get(), other.get()) {
			refuse(ConfigError{Key: setting.Table[r.ID].Option, Value: v.given(), Reason: "must be " + r.Allowed(other.get())})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.fleet.weights)) {
		if w := c.fleet.weights[key]; w < 1 || w > setting.MaxWeight {
			refuse(ConfigError{Key: "Weights", Node: key, Value: w, Reason: fmt.Sprintf("must be 1 to %d", setting.MaxWeight)})
		}
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
		refuse(ConfigError{Key: "Logger", Value: nil, Reason: "must not be nil: leave the option out for no logging"})
	}
	if slices.Contains(c.observers, nil) {
		refuse(ConfigError{Key: "Observer", Value: nil, Reason: "must not be nil: leave the option out for none"})
	}
	var err error
	c.redact, err = redact.New(c.redaction)
	for err := range leaves(err) {
		e := ConfigError{Key: "Redaction", Value: "a pattern", Reason: err.Error(), Err: err}
		if pe, ok := errors.AsType[*redact.PatternError](err); ok {
			e.Key, e.Reason = "Redaction."+pe.Rule, pe.Reason
		}
		refuse(e)
	}
	for err := range leaves(c.limits.Validate()) {
		e := ConfigError{Key: "Limits", Reason: err.Error(), Err: err}
		if le, ok := errors.AsType[*frame.LimitError](err); ok {
			e.Key, e.Value = "Limits."+le.Name, le.Value
			e.Reason = fmt.Sprintf("must be %d to %d", le.Min, le.Max)
			if le.With != "" {
				e.Reason += ": it contradicts " + le.With
			}
		}
		refuse(e)
	}
	if c.fleet.home != "" && c.fleet.router != nil {
		refuse(ConfigError{Key: "DefaultNode", Value: strconv.Quote(c.fleet.home), Reason: "contradicts Router: give one of them"})
	}
	return errs
}

// check is Check that returns the config as well.
func check(nodes []Node, opts []Option) (*config, error) {
	cfg, errs := newConfig(opts)
	if len(nodes) == 0 {
		errs = append(errs, &ConfigError{Key: "nodes", Value: 0, Reason: "a cluster needs one node at least"})
	}
	seen := make(map[string]bool, len(nodes))
	for i, n := range nodes { // a copy of the node: its defaults are filled in when it is added
		_, _, bad := n.check(cfg)
		if seen[n.Key] && badKey(n.Key) == "" {
			bad = append(bad, n.taken())
		}
		seen[n.Key] = true
		for _, e := range bad {
			e.Place = i + 1
		}
		errs = append(errs, bad...)
	}
	return cfg, join(errs)
}

// join returns what several checks found as one error; one alone is itself.
func join(found []*ConfigError) error {
	if len(found) == 1 {
		return found[0]
	}
	errs := make([]error, len(found))
	for i, e := range found {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// leaves yields the errors that join has joined.
func leaves(err error) iter.Seq[error] {
	return func(yield func(error) bool) {
		switch e := err.(type) { //nolint:errorlint // the outermost error alone
		case nil:
		case interface{ Unwrap() []error }:
			for _, part := range e.Unwrap() {
				if !yield(part) {
					return
				}
			}
		default:
			yield(err)
		}
	}
}
