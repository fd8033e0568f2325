package jetstream

import (
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Options set up a Broker. The zero value of each means its default.
type Options struct {
	// Stream is the name of the stream, which is made if it is not there, with
	// MaxAge, MaxBytes, Replicas. One that is there is used as it is. Default "AMI".
	Stream string

	// Bucket is the key-value bucket of the states, made if it is not there.
	// Default "AMI_STATES".
	Bucket string

	// Prefix begins all subjects. Default "ami".
	Prefix string

	// MaxAge is how long records stay. Default 24 h.
	MaxAge time.Duration

	// MaxBytes bounds the stream; the oldest records go first. Default 8 GiB.
	MaxBytes int64

	// Replicas is the number of servers that have the stream, 1 to 5. Default 1.
	Replicas int

	// Timeout bounds each exchange with the server. Default 5 s.
	Timeout time.Duration

	// RequestTimeout is how long a request may take whose sender does not say.
	// Default 1 min.
	RequestTimeout time.Duration

	// Logger takes the log records. Default: none.
	Logger *slog.Logger
}

// An OptionError reports an option that New refuses.
type OptionError struct {
	Option string // the field of Options
	Value  any    // what was given
	Reason string // what is wrong and what is allowed
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("jetstream: %s = %v: %s", e.Option, e.Value, e.Reason)
}

var (
	validName   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	validPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// complete checks the options and fills in the defaults.
func (o *Options) complete() error {
	if o.Stream == "" {
		o.Stream = "AMI"
	}
	if o.Bucket == "" {
		o.Bucket = "AMI_STATES"
	}
	if o.Prefix == "" {
		o.Prefix = "ami"
	}
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 8 << 30
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case !validName.MatchString(o.Stream):
		return &OptionError{"Stream", o.Stream, "may have letters, digits, - and _ only"}
	case !validName.MatchString(o.Bucket):
		return &OptionError{"Bucket", o.Bucket, "may have letters, digits, - and _ only"}
	case !validPrefix.MatchString(o.Prefix):
		return &OptionError{"Prefix", o.Prefix, "may have letters, digits, - and _ only, in parts with a dot between them"}
	case o.MaxAge < time.Minute:
		return &OptionError{"MaxAge", o.MaxAge, "must be 1m at least"}
	case o.MaxBytes < 1<<20:
		return &OptionError{"MaxBytes", o.MaxBytes, "must be 1 MiB at least"}
	case o.Replicas < 1 || o.Replicas > 5:
		return &OptionError{"Replicas", o.Replicas, "must be 1 to 5"}
	case o.Timeout < 0:
		return &OptionError{"Timeout", o.Timeout, "must be positive"}
	case o.RequestTimeout < 0:
		return &OptionError{"RequestTimeout", o.RequestTimeout, "must be positive"}
	}
	return nil
}

// stream is what is made if there is none.
func (o *Options) stream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: o.Stream, Subjects: []string{o.Prefix + ".events.>"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		MaxAge: o.MaxAge, MaxBytes: o.MaxBytes, Discard: jetstream.DiscardOld, Duplicates: 2 * time.Minute,
		AllowAtomicPublish: true, AllowDirect: true, Compression: jetstream.S2Compression,
	}
}
