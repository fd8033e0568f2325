package ami

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/fair"
	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/supervise"
)

// config is what the options set. It is immutable once New has checked it.
type config struct {
	logger *slog.Logger
	limits frame.Limits

	redaction redact.Rules
	redact    *redact.Policy // compiled by check

	dialTimeout, loginTimeout, writeTimeout time.Duration
	readIdle, keepalive, keepaliveTimeout   time.Duration

	backoffBase, backoffCap, backoffFloor time.Duration
	authBase, authCap                     time.Duration
	breakerFailures, breakerProbes        int
	breakerOpen, stableAfter              time.Duration

	actionLanes              int
	queueEntries, queueBytes int
	pendingLimit             int
	actionTimeout            time.Duration
	malformed                int
	malformedWindow          time.Duration
	eventQueue               int
	onDemand                 bool
	dropSummary              time.Duration

	fleet fleetConfig

	resolver Resolver
	literal  bool
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// fleetConfig is what the options for clusters alone set.
type fleetConfig struct {
	set     []string // the options that were given
	permits int
	router  Router
	home    string // key of the default node
	weights map[string]int
}

func newConfig(opts []Option) (config, error) {
	c := config{
		logger:      slog.New(slog.DiscardHandler),
		dialTimeout: 3 * time.Second, loginTimeout: 5 * time.Second, writeTimeout: 5 * time.Second,
		readIdle: 90 * time.Second, keepalive: 30 * time.Second, keepaliveTimeout: 15 * time.Second,
		backoffBase: 500 * time.Millisecond, backoffCap: 10 * time.Second, backoffFloor: 100 * time.Millisecond,
		authBase: 30 * time.Second, authCap: 5 * time.Minute,
		breakerFailures: 5, breakerProbes: 1, breakerOpen: 15 * time.Second, stableAfter: 10 * time.Second,
		queueEntries: 256, queueBytes: 5 << 20,
		pendingLimit: 5000, actionTimeout: 30 * time.Second,
		malformed: 10, malformedWindow: time.Minute,
		eventQueue: 10_000, dropSummary: 10 * time.Second,
		fleet: fleetConfig{permits: 64},
	}
	for _, o := range opts {
		o(&c)
	}
	err := c.check()
	return c, err
}

// check returns the first value that is out of its range as a *ConfigError.
func (c *config) check() error {
	const (
		ms   = time.Millisecond
		hour = time.Hour
	)
	for _, d := range []struct {
		key             string
		value, min, max time.Duration
	}{
		{"DialTimeout", c.dialTimeout, 10 * ms, 5 * time.Minute},
		{"LoginTimeout", c.loginTimeout, 10 * ms, 5 * time.Minute},
		{"WriteTimeout", c.writeTimeout, 10 * ms, 5 * time.Minute},
		{"ReadIdle", c.readIdle, time.Second, 24 * hour},
		{"Keepalive interval", c.keepalive, time.Second, hour},
		{"Keepalive timeout", c.keepaliveTimeout, time.Second, hour},
		{"Backoff floor", c.backoffFloor, ms, c.backoffBase},
		{"Backoff base", c.backoffBase, ms, c.backoffCap},
		{"Backoff limit", c.backoffCap, ms, hour},
		{"AuthBackoff base", c.authBase, ms, c.authCap},
		{"AuthBackoff limit", c.authCap, ms, 24 * hour},
		{"Breaker openFor", c.breakerOpen, 10 * ms, hour},
		{"StableAfter", c.stableAfter, 0, hour},
		{"ActionTimeout", c.actionTimeout, ms, 24 * hour},
		{"MalformedLimit window", c.malformedWindow, time.Second, 24 * hour},
		{"DropSummary", c.dropSummary, 10 * ms, hour},
	} {
		if d.value < d.min || d.value > d.max {
			return &ConfigError{Key: d.key, Value: d.value, Reason: "must be " + d.min.String() + " to " + d.max.String()}
		}
	}
	for _, n := range []struct {
		key             string
		value, min, max int
		allowed         string
	}{
		{"Breaker failures", c.breakerFailures, 1, 1000, "1 to 1000"},
		{"Breaker probes", c.breakerProbes, 1, 100, "1 to 100"},
		{"ActionLanes", c.actionLanes, 0, 8, "0 to 8"},
		{"OutboundQueue entries", c.queueEntries, 1, 1 << 16, "1 to 65536"},
		{"OutboundQueue bytes", c.queueBytes, 128 << 10, 256 << 20, "128 KiB to 256 MiB"},
		{"PendingLimit", c.pendingLimit, 1, 1_000_000, "1 to 1000000"},
		{"MalformedLimit", c.malformed, 0, 1_000_000, "0 to 1000000"},
		{"EventQueue", c.eventQueue, 16, 1_000_000, "16 to 1000000"},
		{"ConnectLimit", c.fleet.permits, 1, 10_000, "1 to 10000"},
	} {
		if n.value < n.min || n.value > n.max {
			return &ConfigError{Key: n.key, Value: n.value, Reason: "must be " + n.allowed}
		}
	}
	if c.readIdle <= c.keepalive {
		return &ConfigError{Key: "ReadIdle", Value: c.readIdle, Reason: "must be above the keepalive interval of " + c.keepalive.String() + ", or a quiet node is taken for a dead one"}
	}
	for key, w := range c.fleet.weights {
		if w < 1 || w > fair.MaxWeight {
			return &ConfigError{Key: "Weights[" + key + "]", Value: w, Reason: fmt.Sprintf("must be 1 to %d", fair.MaxWeight)}
		}
	}
	if c.logger == nil {
		return &ConfigError{Key: "Logger", Value: nil, Reason: "must not be nil: leave the option out for no logging"}
	}
	var err error
	if c.redact, err = redact.New(c.redaction); err != nil {
		return &ConfigError{Key: "Redaction", Value: "a pattern", Reason: err.Error(), Err: err}
	}
	if err := c.limits.Validate(); err != nil {
		e := &ConfigError{Key: "Limits", Reason: err.Error(), Err: err}
		if le, ok := errors.AsType[*frame.LimitError](err); ok {
			e.Key, e.Value = "Limits."+le.Name, le.Value
		}
		return e
	}
	return nil
}

func (c *config) retry(onBreaker func(from, to string)) supervise.Config {
	return supervise.Config{
		Base: c.backoffBase, Cap: c.backoffCap, Floor: c.backoffFloor,
		AuthBase: c.authBase, AuthCap: c.authCap,
		Failures: c.breakerFailures, OpenFor: c.breakerOpen, Probes: uint32(c.breakerProbes),
		OnBreaker: onBreaker,
	}
}
