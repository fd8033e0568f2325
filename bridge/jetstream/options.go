package jetstream

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/apn/ami"
)

// Defaults of Options.
const (
	DefaultStream      = "AMI"
	DefaultPrefix      = "ami"
	DefaultDuplicates  = 2 * time.Minute
	DefaultDialTimeout = 5 * time.Second
	DefaultAckTimeout  = 10 * time.Second
	DefaultMaxRequest  = 256 << 10
	DefaultMaxRequests = 64
)

// Options say where the server is and how the stream is kept. One of URL and
// Server is needed; every other field may be zero.
type Options struct {
	// URL of the server, or several with commas between them, as
	// "nats://127.0.0.1:4222". It holds no password: User and Password do.
	URL string
	// Server is one in this process, as package embedded has it.
	Server nats.InProcessConnProvider

	CredentialsFile string      // of NATS: a JWT and its key
	User            string      // with Password
	Password        ami.Secret  // of User
	TLS             *tls.Config // nil: none, unless the URL says tls://

	Stream string // name; letters, digits, - and _. Default DefaultStream
	Prefix string // of all subjects: tokens of letters, digits, - and _, with dots between. Default DefaultPrefix

	// Of the stream, when it is created. A stream that is there already must have
	// those that are not zero here; otherwise Open returns a *StreamError.
	Replicas   int           // default 1; at most 5
	MaxAge     time.Duration // older records are removed; default never
	MaxBytes   int64         // the oldest records are removed beyond; default no limit
	DiscardNew bool          // at MaxBytes new records are refused (ErrFull) and none is removed
	// Duplicates is for how long the server knows a record by its ID. It keeps all
	// IDs of that time in memory, roughly 150 bytes each. Default
	// DefaultDuplicates, or MaxAge if that is shorter.
	Duplicates time.Duration
	// Update lets Open widen a stream that is there: add the subjects, keep longer
	// (MaxAge), more (MaxBytes) or know duplicates for longer. It never narrows it.
	Update bool

	// Lazy lets Open return without a connection. The first call that needs one
	// makes it, and checks the stream.
	Lazy bool

	DialTimeout time.Duration // for a connection; default DefaultDialTimeout
	AckTimeout  time.Duration // for the next confirmation or answer of the server; default DefaultAckTimeout

	MaxRequest  int // bytes of a request for an action; default DefaultMaxRequest
	MaxRequests int // that are handled at a time; default DefaultMaxRequests

	Logger *slog.Logger // default: none
}

var (
	plainName   = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,200}$`)
	plainPrefix = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,100}(\.[a-zA-Z0-9_-]{1,100})*$`)
)

// complete fills in the defaults and returns what is wrong: *ami.ConfigError,
// joined.
func (o *Options) complete() error {
	o.Stream = cmp.Or(o.Stream, DefaultStream)
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	o.AckTimeout = cmp.Or(o.AckTimeout, DefaultAckTimeout)
	o.MaxRequest = cmp.Or(o.MaxRequest, DefaultMaxRequest)
	o.MaxRequests = cmp.Or(o.MaxRequests, DefaultMaxRequests)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}

	var errs []error
	refuse := func(key string, value any, reason string) {
		errs = append(errs, &ami.ConfigError{Key: "Options." + key, Value: value, Reason: reason})
	}
	if (o.URL == "") == (o.Server == nil) {
		refuse("URL", o.shown(), "one of URL and Server must be given, and not both")
	}
	for one := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil:
			refuse("URL", o.shown(), "must be like nats://host:4222")
		case u.User != nil || strings.Contains(one, "@"): // without a scheme as well
			refuse("URL", o.shown(), "must hold no user and password: Options.User and Options.Password do")
		}
	}
	if !plainName.MatchString(o.Stream) {
		refuse("Stream", o.Stream, "may hold letters, digits, - and _ only, 200 at most")
	}
	if !plainPrefix.MatchString(o.Prefix) || len(o.Prefix) > 200 {
		refuse("Prefix", o.Prefix, "may hold letters, digits, - and _ with single dots between, 200 at most")
	}
	if strings.ContainsAny(o.CredentialsFile, "\r\n") { // it must not be shown
		refuse("CredentialsFile", "[redacted]", "must be the name of a file, and looks like the content of one")
	}
	if o.CredentialsFile != "" && o.User != "" {
		refuse("User", o.User, "contradicts CredentialsFile: give one of them")
	}
	if o.User == "" && o.Password.Reveal() != "" {
		refuse("Password", o.Password, "needs User")
	}
	if o.Replicas < 0 || o.Replicas > 5 {
		refuse("Replicas", o.Replicas, "must be 1 to 5")
	}
	for key, n := range map[string]int64{
		"MaxAge": int64(o.MaxAge), "MaxBytes": o.MaxBytes, "Duplicates": int64(o.Duplicates),
		"DialTimeout": int64(o.DialTimeout), "AckTimeout": int64(o.AckTimeout),
		"MaxRequest": int64(o.MaxRequest), "MaxRequests": int64(o.MaxRequests),
	} {
		if n < 0 {
			refuse(key, n, "must not be negative")
		}
	}
	if o.MaxAge > 0 && o.Duplicates > o.MaxAge {
		refuse("Duplicates", o.Duplicates, "must not be longer than MaxAge")
	}
	if o.DiscardNew && o.MaxBytes == 0 {
		refuse("DiscardNew", true, "needs MaxBytes")
	}
	return errors.Join(errs...)
}

// shown is the server as errors and logs show it, without anything that may be
// secret.
func (o *Options) shown() string {
	if o.Server != nil {
		return fmt.Sprintf("%T", o.Server)
	}
	shown := []string{}
	for one := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			shown = append(shown, "(no URL)")
			continue
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return strings.Join(shown, ",")
}
