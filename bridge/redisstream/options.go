package redisstream

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami"
)

// Defaults of Options.
const (
	DefaultPrefix      = "ami"
	DefaultMaxLen      = 50_000
	DefaultMaxRecord   = 64 << 20
	DefaultDialTimeout = 5 * time.Second
	DefaultAckTimeout  = 10 * time.Second
)

// Options say where the server is and how the streams are kept. Every field but
// URL may be zero.
type Options struct {
	// URL of the server: redis://host:port/database, or rediss:// for TLS. The
	// port is 6379 and the database 0 if they are left out. It holds no password:
	// User and Password do. Required.
	URL      string
	User     string      // default: the server's user "default"
	Password ami.Secret  // of User
	TLS      *tls.Config // for rediss://; default: the system's authorities

	// Prefix of all keys: letters, digits, and any of . _ - : { }, 100 at most.
	// Default DefaultPrefix. In a cluster all keys must be in one slot, which a
	// prefix in braces, as "{ami}", sees to.
	Prefix string

	// MaxLen is the length of a node's stream beyond which its oldest records go.
	// A stream may be a little longer, as it is trimmed by whole blocks of some 100
	// records. -1 for no limit: trim it elsewhere. Default DefaultMaxLen.
	MaxLen int64

	// MaxRecord is the largest payload in bytes: a larger one is refused. It must
	// not be more than the server's proto-max-bulk-len, which is 512 MiB unless
	// configured. Default DefaultMaxRecord, which is the most that a spool holds.
	MaxRecord int

	// Lazy lets Open return without a connection. The first call that needs one
	// makes it.
	Lazy bool

	DialTimeout time.Duration // for a connection; default DefaultDialTimeout
	AckTimeout  time.Duration // for an answer of the server; default DefaultAckTimeout
}

var plainPrefix = regexp.MustCompile(`^[a-zA-Z0-9._:{}-]{1,100}$`)

// complete fills in the defaults and returns what is wrong: *ami.ConfigError,
// joined.
func (o *Options) complete() error {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.MaxLen = cmp.Or(o.MaxLen, DefaultMaxLen)
	o.MaxRecord = cmp.Or(o.MaxRecord, DefaultMaxRecord)
	o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	o.AckTimeout = cmp.Or(o.AckTimeout, DefaultAckTimeout)

	var errs []error
	refuse := func(key string, value any, reason string) {
		errs = append(errs, &ami.ConfigError{Key: "Options." + key, Value: value, Reason: reason})
	}
	const like = "must be like redis://host:6379/0, or rediss:// for TLS"
	switch u, err := url.Parse(o.URL); {
	case o.URL == "":
		refuse("URL", "", "is required")
	case err != nil: // it may show a password
		refuse("URL", o.shown(), like)
	case u.User != nil:
		refuse("URL", o.shown(), "must hold no user and password: Options.User and Options.Password do")
	case u.Scheme != "redis" && u.Scheme != "rediss", u.Hostname() == "", u.RawQuery != "", u.Fragment != "":
		refuse("URL", o.shown(), like)
	default:
		if _, ok := database(u); !ok {
			refuse("URL", o.shown(), "must end with the number of the database, as /0, or without")
		}
		if o.TLS != nil && u.Scheme != "rediss" {
			refuse("TLS", "set", "needs a URL with rediss://")
		}
	}
	if o.User != "" && o.Password.Reveal() == "" {
		refuse("User", o.User, "needs Password")
	}
	if !plainPrefix.MatchString(o.Prefix) {
		refuse("Prefix", o.Prefix, "may hold letters, digits and . _ - : { } only, 100 at most")
	}
	if o.MaxLen < -1 {
		refuse("MaxLen", o.MaxLen, "must be positive, or -1 for no limit")
	}
	for key, n := range map[string]int64{
		"MaxRecord": int64(o.MaxRecord), "DialTimeout": int64(o.DialTimeout), "AckTimeout": int64(o.AckTimeout),
	} {
		if n < 0 {
			refuse(key, n, "must not be negative")
		}
	}
	return errors.Join(errs...)
}

// database is what the path of the URL names.
func database(u *url.URL) (int, bool) {
	path := strings.Trim(u.Path, "/")
	if path == "" {
		return 0, true
	}
	n, err := strconv.Atoi(path)
	return n, err == nil && n >= 0
}

// shown is the server as errors show it, without anything that may be secret.
func (o *Options) shown() string {
	u, err := url.Parse(o.URL)
	if err != nil {
		return "(no URL)"
	}
	return u.Scheme + "://" + u.Host
}

// address is where the server listens.
func address(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379"))
}

// stream is the key of a node's stream.
func (o *Options) stream(node string) string { return o.Prefix + ":events:" + node }

// last is the key of the hash with the last record of each hold.
func (o *Options) last() string { return o.Prefix + ":last" }

// states is the key of the hash with the states.
func (o *Options) states() string { return o.Prefix + ":states" }
