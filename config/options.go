package config

import (
	"math"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/setting"
)

// given reports whether any of the options was.
func (c *Config) given(ids ...setting.ID) bool {
	for _, id := range ids {
		if _, ok := c.values[setting.Table[id].Path]; ok {
			return true
		}
	}
	return false
}

// num returns the value of an option, or its default.
func (c *Config) num(id setting.ID) int64 {
	if v, ok := c.values[setting.Table[id].Path]; ok {
		return v.num
	}
	return setting.Table[id].Default
}

// effective returns the value in force: two of the limits follow the others.
func (c *Config) effective(id setting.ID) int64 {
	if limits, err := c.limits().WithDefaults(); err == nil {
		switch id {
		case setting.LimitLine:
			return int64(limits.Line)
		case setting.LimitBuffer:
			return int64(limits.Buffer)
		}
	}
	return c.num(id)
}

func (c *Config) duration(id setting.ID) time.Duration { return time.Duration(c.num(id)) }

// count returns a number as the library takes it. One that does not fit an int is
// out of every range anyhow.
func (c *Config) count(id setting.ID) int {
	return int(max(math.MinInt32, min(c.num(id), math.MaxInt32)))
}

func (c *Config) list(id setting.ID) (texts []string) {
	for _, s := range c.values[setting.Table[id].Path].list {
		texts = append(texts, s.Reveal())
	}
	return texts
}

// limits returns the limits that were given: zero is the default there.
func (c *Config) limits() frame.Limits {
	given := func(id setting.ID) int {
		if !c.given(id) {
			return 0
		}
		return c.count(id)
	}
	return frame.Limits{
		Line: given(setting.LimitLine), Headers: given(setting.LimitHeaders), Frame: given(setting.LimitFrame),
		Command: given(setting.LimitCommand), Buffer: given(setting.LimitBuffer),
	}
}

// apply makes the options of the library of those that were given.
func (c *Config) apply() []ami.Option {
	var opts []ami.Option
	add := func(o ami.Option, ids ...setting.ID) {
		if c.given(ids...) {
			opts = append(opts, o)
		}
	}
	d, n := c.duration, c.count
	add(ami.WithDialTimeout(d(setting.DialTimeout)), setting.DialTimeout)
	add(ami.WithLoginTimeout(d(setting.LoginTimeout)), setting.LoginTimeout)
	add(ami.WithWriteTimeout(d(setting.WriteTimeout)), setting.WriteTimeout)
	add(ami.WithReadIdle(d(setting.ReadIdle)), setting.ReadIdle)
	add(ami.WithKeepalive(d(setting.KeepaliveInterval), d(setting.KeepaliveTimeout)), setting.KeepaliveInterval, setting.KeepaliveTimeout)
	add(ami.WithBackoff(d(setting.BackoffBase), d(setting.BackoffLimit), d(setting.BackoffFloor)), setting.BackoffBase, setting.BackoffLimit, setting.BackoffFloor)
	add(ami.WithAuthBackoff(d(setting.AuthBackoffBase), d(setting.AuthBackoffLimit)), setting.AuthBackoffBase, setting.AuthBackoffLimit)
	add(ami.WithBreaker(n(setting.BreakerFailures), d(setting.BreakerOpenFor), n(setting.BreakerProbes)), setting.BreakerFailures, setting.BreakerOpenFor, setting.BreakerProbes)
	add(ami.WithStableAfter(d(setting.StableAfter)), setting.StableAfter)
	add(ami.WithActionLanes(n(setting.ActionLanes)), setting.ActionLanes)
	add(ami.WithOutboundQueue(n(setting.QueueEntries), n(setting.QueueBytes)), setting.QueueEntries, setting.QueueBytes)
	add(ami.WithPendingLimit(n(setting.PendingLimit)), setting.PendingLimit)
	add(ami.WithActionTimeout(d(setting.ActionTimeout)), setting.ActionTimeout)
	add(ami.WithMalformedLimit(n(setting.MalformedLimit), d(setting.MalformedWindow)), setting.MalformedLimit, setting.MalformedWindow)
	add(ami.WithEventQueue(n(setting.EventQueue)), setting.EventQueue)
	add(ami.WithDropSummary(d(setting.DropSummary)), setting.DropSummary)
	add(ami.WithConnectLimit(n(setting.ConnectLimit)), setting.ConnectLimit)
	add(ami.WithLimits(c.limits()), setting.LimitLine, setting.LimitHeaders, setting.LimitFrame, setting.LimitCommand, setting.LimitBuffer)
	if c.num(setting.EventsOnDemand) == 1 {
		opts = append(opts, ami.WithEventsOnDemand())
	}
	if c.num(setting.LiteralAddresses) == 1 {
		opts = append(opts, ami.WithLiteralAddresses())
	}
	add(ami.WithDefaultNode(c.home()), setting.DefaultNode)
	add(ami.WithRedaction(ami.Redaction{
		Headers: c.list(setting.RedactHeaders), Names: c.list(setting.RedactNames), Values: c.list(setting.RedactValues),
	}), setting.RedactHeaders, setting.RedactNames, setting.RedactValues)
	if w := c.weights(); len(w) > 0 {
		opts = append(opts, ami.WithWeights(w))
	}
	return opts
}

// home returns the key of the default node, "" if there is none.
func (c *Config) home() string { return c.values[setting.Table[setting.DefaultNode].Path].text }

// weights returns those of the nodes that have more or less than one share.
func (c *Config) weights() map[string]int {
	w := make(map[string]int)
	for _, n := range c.nodes {
		if n.weight != 1 {
			w[n.key] = n.weight
		}
	}
	return w
}
