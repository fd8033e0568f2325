package amitest

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// An Option changes how NewServer makes a server.
type Option func(*config)

// A User is one section of manager.conf. It prints and marshals as its name.
type User struct {
	Name   string
	Secret string
	// Read are the classes of the events that the user gets, Write those of
	// the actions that the user may execute. Zero means all; ClassNone none.
	Read, Write Class
	// SingleLogin refuses a second session of the user, as
	// allowmultiplelogin=no does.
	SingleLogin bool
	// WriteTimeout replaces the server's; zero keeps it.
	WriteTimeout time.Duration
}

// String returns the name.
func (u User) String() string { return u.Name }

// Format makes every verb print what String returns.
func (u User) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, u.Name) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (u User) MarshalText() ([]byte, error) { return []byte(u.Name), nil }

type config struct {
	users          []User
	banner         string
	amiVersion     string
	version        string
	systemName     string
	timestamps     bool
	securityEvents bool
	oldCommand     bool
	brokenEvents   bool
	noLedger       bool
	authTimeout    time.Duration
	authLimit      int
	writeTimeout   time.Duration
	retention      time.Duration
	buffer         int
	seed           uint64
	tcp            bool
	tls            bool
	certificate    *tls.Certificate
	replay         *replay
	callRate       float64
	dial           func(channel string) Dial
}

func newConfig(opts []Option) config {
	c := config{
		amiVersion:   "11.0.0",
		version:      "22.10.1",
		authTimeout:  30 * time.Second,
		authLimit:    50,
		writeTimeout: 100 * time.Millisecond,
		retention:    150 * time.Second,
		seed:         1,
		dial:         DefaultDial,
	}
	for _, o := range opts {
		o(&c)
	}
	if c.users == nil {
		c.users = []User{{Name: "admin", Secret: "secret"}}
	}
	if c.banner == "" && c.replay == nil {
		c.banner = "Asterisk Call Manager/" + c.amiVersion
	}
	return c
}

func (c *config) random() *rand.Rand { return rand.New(rand.NewPCG(c.seed, c.seed)) }

// WithTCP makes the server listen on a free port of 127.0.0.1 in place of the
// in-memory network.
func WithTCP() Option { return func(c *config) { c.tcp = true } }

// WithTLS makes the server speak TLS over its transport, with a certificate
// made on the fly that [Server.ClientTLS] trusts. It has Asterisk's weakness:
// what a TLS record holds beyond the free part of the line buffer is not read
// before more bytes arrive.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithCertificate is WithTLS with the given certificate, to see a client
// refuse one that is expired or unknown.
func WithCertificate(cert tls.Certificate) Option {
	return func(c *config) { c.tls, c.certificate = true, &cert }
}

// WithUser adds a user. Without it there is one: admin, secret, all classes.
func WithUser(u User) Option { return func(c *config) { c.users = append(c.users, u) } }

// WithBanner replaces the whole first line (without its line end).
func WithBanner(line string) Option { return func(c *config) { c.banner = line } }

// WithVersion sets the AMI version of the banner and the Asterisk version
// that CoreSettings reports. The default is 11.0.0 and 22.10.1.
func WithVersion(ami, asterisk string) Option {
	return func(c *config) { c.amiVersion, c.version = ami, asterisk }
}

// WithSystemName puts SystemName into every event and before every Uniqueid.
// The default is none.
func WithSystemName(name string) Option { return func(c *config) { c.systemName = name } }

// WithTimestamps puts Timestamp into every event, as timestampevents=yes does.
func WithTimestamps() Option { return func(c *config) { c.timestamps = true } }

// WithSecurityEvents broadcasts SuccessfulAuth after each login, as a server
// does whose users have the security class.
func WithSecurityEvents() Option { return func(c *config) { c.securityEvents = true } }

// WithOldCommand answers Command as Asterisk up to 13 did: Response Follows,
// raw lines and --END COMMAND--.
func WithOldCommand() Option { return func(c *config) { c.oldCommand = true } }

// WithBrokenEventsAction leaves an Events action for all events, or with a mask
// that is none, without an answer, as brokeneventsaction=yes does.
func WithBrokenEventsAction() Option { return func(c *config) { c.brokenEvents = true } }

// WithAuthTimeout sets after what time a connection without login is closed.
// The default is 30 s.
func WithAuthTimeout(d time.Duration) Option { return func(c *config) { c.authTimeout = d } }

// WithAuthLimit sets how many connections without login there may be; one
// more is closed without a banner. The default is 50.
func WithAuthLimit(n int) Option { return func(c *config) { c.authLimit = n } }

// WithWriteTimeout sets how long one write may take before the session is
// closed. The default is 100 ms, which is Asterisk's, and its minimum.
func WithWriteTimeout(d time.Duration) Option { return func(c *config) { c.writeTimeout = d } }

// WithEventRetention sets the age at which events that a blocked session has
// not got are lost to it. The default is 150 s, Asterisk's 2.5 times
// httptimeout.
func WithEventRetention(d time.Duration) Option { return func(c *config) { c.retention = d } }

// WithBuffer sets the bytes that each direction of an in-memory connection
// holds. The default is [DefaultBuffer].
func WithBuffer(n int) Option { return func(c *config) { c.buffer = n } }

// WithSeed seeds whatever is random: challenges, and the calls of
// [WithCalls]. The default seed is 1.
func WithSeed(seed uint64) Option { return func(c *config) { c.seed = seed } }

// WithoutLedger keeps no ledger, for long runs and benchmarks.
// [Server.WaitAction] still counts.
func WithoutLedger() Option { return func(c *config) { c.noLedger = true } }

// WithCalls lets invented calls live on the server from its start; see
// [Server.LiveCalls].
func WithCalls(perSecond float64) Option { return func(c *config) { c.callRate = perSecond } }

// WithDial sets how an originated channel ends; see [Dial]. The default is
// [DefaultDial]. It is called by several goroutines at once.
func WithDial(dial func(channel string) Dial) Option { return func(c *config) { c.dial = dial } }
