package bridge

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/lease"
	"github.com/apn/ami/bridge/spool"
)

// Options set up a Bridge. The zero value of each but Dir means its default.
type Options struct {
	// Dir is the folder of the spool and of what is known of earlier instances. It
	// is made if it is not there, and belongs to one process at a time. Required.
	Dir string

	// Instance names the process: letters, digits and . _ - only, 64 at most.
	// Default: the name of the host. Each start adds a suffix of its own.
	Instance string

	// Spool sets the bounds of the spool. Its Logger is that below if it is nil.
	Spool spool.Options

	// Buffer is how many events may wait for the spool, 2 to 1,000,000. Default
	// 200,000. When it is full the oldest go, and a gap tells how many.
	Buffer int

	// Grace bounds the end of Run: what was received is published until then,
	// what is left stays in the spool for the next start. Default 30 s. With Leases
	// a broker that does not answer may make it the Keeper's Grace and a TTL.
	Grace time.Duration

	// Allow says which actions requests may ask for. Nil: those of ReadOnly, of
	// all nodes. An Allow without entries permits nothing.
	Allow Allow

	// AnswerMost is the largest answer to a request in bytes. Default 1,000,000:
	// NATS takes 1 MiB. In place of a larger one goes the code "too_large".
	AnswerMost int

	// CloudEvents puts each payload into an envelope of CloudEvents 1.0, as its
	// data: structured mode, JSON. Source is the URI reference that its attribute
	// source is; default "/ami/" and the Instance.
	CloudEvents bool
	Source      string

	// Leases share the nodes of the cluster among processes: each is in the
	// clusters of all of them, and in this one's only while it is held here. The
	// bridge runs the Keeper, and sets its nodes: those of Nodes, which is
	// required then and has all that the cluster was made of. Nil: this process
	// holds all.
	Leases *lease.Keeper
	Nodes  []ami.Node

	// Metrics are collectors that the handler shows besides the bridge's own,
	// such as that of package amiprom.
	Metrics []prometheus.Collector

	// Logger takes the log records. Default: none.
	Logger *slog.Logger
}

// An OptionError reports an option that New refuses.
type OptionError struct {
	Option string // the field of Options
	Value  string // what was given
	Reason string // what is wrong and what is allowed
	Err    error  // the underlying error, if any
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("bridge: %s = %q: %s", e.Option, e.Value, e.Reason)
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// The defaults.
const (
	defaultBuffer = 200_000
	defaultGrace  = 30 * time.Second
	defaultAnswer = 1_000_000
	mostInstance  = 64
)

// complete checks the options and fills in the defaults.
func (o *Options) complete() error {
	if o.Dir == "" {
		return &OptionError{Option: "Dir", Reason: "is required"}
	}
	if o.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return &OptionError{Option: "Instance", Reason: "is required: the host has no name: " + err.Error(), Err: err}
		}
		o.Instance = nameOf(host)
	}
	if o.Instance != nameOf(o.Instance) || o.Instance == "" {
		return &OptionError{Option: "Instance", Value: o.Instance, Reason: fmt.Sprintf("may have letters, digits and . _ - only, %d at most", mostInstance)}
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.AnswerMost == 0 {
		o.AnswerMost = defaultAnswer
	}
	if o.Source == "" {
		o.Source = "/ami/" + o.Instance
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Spool.Logger == nil {
		o.Spool.Logger = o.Logger
	}
	if (o.Leases != nil) != (len(o.Nodes) > 0) {
		return &OptionError{Option: "Nodes", Value: strconv.Itoa(len(o.Nodes)), Reason: "are required with Leases, and without them have no meaning"}
	}
	for _, n := range []struct {
		option    string
		value     int
		low, high int
	}{
		{"Buffer", o.Buffer, 2, 1_000_000},
		{"AnswerMost", o.AnswerMost, 1024, 1 << 30},
		{"Grace", int(o.Grace.Milliseconds()), 1, int(time.Hour.Milliseconds())},
	} {
		if n.value < n.low || n.value > n.high {
			return &OptionError{Option: n.option, Value: strconv.Itoa(n.value), Reason: fmt.Sprintf("must be %d to %d", n.low, n.high)}
		}
	}
	return nil
}

// nameOf makes the name of an instance of any text.
func nameOf(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
	return s[:min(len(s), mostInstance)]
}

// newRun returns the name of this start of an instance. No other start has it,
// also of a host whose clock was set back.
func newRun(instance string, now time.Time) string {
	return instance + "-" + strconv.FormatInt(now.UnixMilli(), 36) + strings.ToLower(rand.Text()[:6])
}
