package ami

import (
	"context"
	"iter"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/setting"
	"github.com/apn/ami/internal/supervise"
)

// config is what the options set. It is immutable once New has checked it.
type config struct {
	logger    *slog.Logger
	logPanics atomic.Uint64 // of its handler
	limits    frame.Limits

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

	observers []Observer

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

// newConfig returns what the options make of the defaults, and what is wrong
// with it.
func newConfig(opts []Option) (*config, []*ConfigError) {
	c := &config{logger: slog.New(slog.DiscardHandler)}
	for id, v := range c.values() {
		v.set(setting.Table[id].Default)
	}
	for _, o := range opts {
		o(c)
	}
	errs := c.check()
	if c.logger.Handler() != slog.DiscardHandler {
		c.logger = guardLog(c.logger, &c.logPanics)
	}
	return c, errs
}

// A value is where the config keeps one option of the table.
type value struct {
	duration *time.Duration
	count    *int
}

func (v value) get() int64 {
	if v.duration != nil {
		return int64(*v.duration)
	}
	return int64(*v.count)
}

func (v value) set(n int64) {
	if v.duration != nil {
		*v.duration = time.Duration(n)
	} else {
		*v.count = int(n)
	}
}

// given returns the value in its own type, for ConfigError.
func (v value) given() any {
	if v.duration != nil {
		return *v.duration
	}
	return *v.count
}

// values yields the options that have a range, but for those of frame.Limits:
// there a zero means the default, which Reader fills in.
func (c *config) values() iter.Seq2[setting.ID, value] {
	return func(yield func(setting.ID, value) bool) {
		for _, p := range []struct {
			id setting.ID
			at value
		}{
			{setting.DialTimeout, value{duration: &c.dialTimeout}},
			{setting.LoginTimeout, value{duration: &c.loginTimeout}},
			{setting.WriteTimeout, value{duration: &c.writeTimeout}},
			{setting.ReadIdle, value{duration: &c.readIdle}},
			{setting.KeepaliveInterval, value{duration: &c.keepalive}},
			{setting.KeepaliveTimeout, value{duration: &c.keepaliveTimeout}},
			{setting.BackoffBase, value{duration: &c.backoffBase}},
			{setting.BackoffLimit, value{duration: &c.backoffCap}},
			{setting.BackoffFloor, value{duration: &c.backoffFloor}},
			{setting.AuthBackoffBase, value{duration: &c.authBase}},
			{setting.AuthBackoffLimit, value{duration: &c.authCap}},
			{setting.BreakerFailures, value{count: &c.breakerFailures}},
			{setting.BreakerOpenFor, value{duration: &c.breakerOpen}},
			{setting.BreakerProbes, value{count: &c.breakerProbes}},
			{setting.StableAfter, value{duration: &c.stableAfter}},
			{setting.ActionLanes, value{count: &c.actionLanes}},
			{setting.QueueEntries, value{count: &c.queueEntries}},
			{setting.QueueBytes, value{count: &c.queueBytes}},
			{setting.PendingLimit, value{count: &c.pendingLimit}},
			{setting.ActionTimeout, value{duration: &c.actionTimeout}},
			{setting.MalformedLimit, value{count: &c.malformed}},
			{setting.MalformedWindow, value{duration: &c.malformedWindow}},
			{setting.EventQueue, value{count: &c.eventQueue}},
			{setting.DropSummary, value{duration: &c.dropSummary}},
			{setting.ConnectLimit, value{count: &c.fleet.permits}},
		} {
			if !yield(p.id, p.at) {
				return
			}
		}
	}
}

func (c *config) retry(onBreaker func(from, to string)) supervise.Config {
	return supervise.Config{
		Base: c.backoffBase, Cap: c.backoffCap, Floor: c.backoffFloor,
		AuthBase: c.authBase, AuthCap: c.authCap,
		Failures: c.breakerFailures, OpenFor: c.breakerOpen, Probes: uint32(c.breakerProbes),
		OnBreaker: onBreaker,
	}
}
