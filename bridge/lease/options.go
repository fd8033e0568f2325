package lease

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"
)

// The bounds and defaults of Options.
const (
	DefaultBucket = "AMI_LEASES"
	DefaultTTL    = 5 * time.Second
	MinTTL        = time.Second
	MaxTTL        = 5 * time.Minute
	DefaultGrace  = 10 * time.Second
	MaxGrace      = 5 * time.Minute
	maxName       = 255 // bytes of a node or an instance
)

// Options are what a Keeper needs to know. Zero means the default.
type Options struct {
	// Bucket is where the processes meet. It is created if it is not there. A
	// bucket must not expire its values. Default DefaultBucket.
	Bucket string

	// Instance names this process, 1 to 255 bytes; no default. It should stay the
	// same when the process is started again: it then gets its nodes back without
	// a wait. No two processes of a bucket may have the same at the same time: the
	// older one ends with a *ReplacedError.
	Instance string

	// Nodes are those that this process is able to hold, each 1 to 255 bytes.
	// Processes may differ in them, for instance while a new configuration is
	// rolled out: a node is only given to a process that has it here.
	Nodes []string

	// TTL is how long a process must not have been heard of to count as dead,
	// MinTTL to MaxTTL. It should be more than twice the longest pause of a
	// process or the network that is to be borne. Default DefaultTTL.
	TTL time.Duration

	// Grace is how long the end of Run waits for calls of Release, up to MaxGrace;
	// what is not released by then goes to others nevertheless. Default
	// DefaultGrace.
	Grace time.Duration

	// Replicas and Memory say how a bucket is created: on how many servers, 1 to 5,
	// default 1; and whether in their memory alone. A bucket that is there is used
	// as it is.
	Replicas int
	Memory   bool

	// Logger gets what happens to members and nodes. Default: none.
	Logger *slog.Logger
}

var validBucket = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// complete checks o and fills in the defaults.
func (o Options) complete() (Options, error) {
	if o.Bucket == "" {
		o.Bucket = DefaultBucket
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case !validBucket.MatchString(o.Bucket):
		return o, &OptionError{"Bucket", "only letters, digits, - and _"}
	case o.Instance == "":
		return o, &OptionError{"Instance", "missing"}
	case len(o.Instance) > maxName:
		return o, &OptionError{"Instance", fmt.Sprintf("longer than %d bytes", maxName)}
	case o.TTL < MinTTL || o.TTL > MaxTTL:
		return o, &OptionError{"TTL", fmt.Sprintf("%v is not within %v and %v", o.TTL, MinTTL, MaxTTL)}
	case o.Grace < 0 || o.Grace > MaxGrace:
		return o, &OptionError{"Grace", fmt.Sprintf("%v is not within 0 and %v", o.Grace, MaxGrace)}
	case o.Replicas < 1 || o.Replicas > 5:
		return o, &OptionError{"Replicas", fmt.Sprintf("%d is not within 1 and 5", o.Replicas)}
	}
	nodes, err := nodeSet(o.Nodes)
	o.Nodes = nodes
	return o, err
}

// nodeSet returns the nodes sorted, each once.
func nodeSet(nodes []string) ([]string, error) {
	for _, n := range nodes {
		if n == "" || len(n) > maxName {
			return nil, &OptionError{"Nodes", fmt.Sprintf("%.20q is not of 1 to %d bytes", n, maxName)}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(nodes))), nil
}
