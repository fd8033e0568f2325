package ami

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/redact"
)

// An Option sets up a Client. Its value is checked by New, which returns a
// *ConfigError that names it.
type Option func(*config)

// A Resolver looks host names up. *net.Resolver is one. LookupHost must return
// when ctx ends; one that does not is left behind, and not asked again for the
// node until it has returned. What it returns that is no IP address is passed
// over; if it panics, that is a failure, counted in Stats.CallbackPanics.
type Resolver interface {
	LookupHost(ctx context.Context, host string) (addrs []string, err error)
}

// WithLogger sends log records to l; every one carries server_key, and
// docs/operations.md lists them. Default: no logging. The logger is called by the
// supervisor of the node: a handler that blocks delays its reconnects and
// keepalives, and what WithEventsOnDemand asks for, but no event that comes and no
// answer. Drop summaries and the first panic of a
// predicate come from goroutines of their own, which Close waits for. With package
// asynclog between, a handler that blocks delays nothing.
// At level Debug the goroutine that calls Send or Start logs each action too,
// its headers redacted. If the handler panics the record is lost, which is
// counted (Stats.LogPanics), and nothing else happens.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// WithLimits bounds what the node may make its reader hold.
func WithLimits(l frame.Limits) Option { return func(c *config) { c.limits = l } }

// WithRedaction hides more than the secrets that are known by name in the
// records and error texts of the client. A pattern that is no regular
// expression is refused by New.
func WithRedaction(r Redaction) Option { return func(c *config) { c.redaction = redact.Rules(r) } }

// WithDialTimeout bounds the lookup of a host name, and then once more the way
// up to the greeting: connect, TLS, banner. Default 3 s; 10 ms to 5 min. Keep it
// short: in a large fleet an attempt on a silent host holds up others.
func WithDialTimeout(d time.Duration) Option { return func(c *config) { c.dialTimeout = d } }

// WithLoginTimeout bounds the login. Default 5 s; 10 ms to 5 min. Asterisk
// takes a second to refuse one.
func WithLoginTimeout(d time.Duration) Option { return func(c *config) { c.loginTimeout = d } }

// WithWriteTimeout bounds each write of actions. Default 5 s; 10 ms to 5 min.
func WithWriteTimeout(d time.Duration) Option { return func(c *config) { c.writeTimeout = d } }

// WithReadIdle ends a session on which nothing was received for d. Default
// 90 s; 1 s to 24 h. It must be above the keepalive interval.
func WithReadIdle(d time.Duration) Option { return func(c *config) { c.readIdle = d } }

// WithKeepalive sends a Ping every interval and ends the session if one is not
// answered within timeout. Default 30 s and 15 s; 1 s to 1 h each. While an
// action is pending for which Asterisk holds the session (WaitEvent, an
// Originate that is not Async), no Ping is sent.
func WithKeepalive(interval, timeout time.Duration) Option {
	return func(c *config) { c.keepalive, c.keepaliveTimeout = interval, timeout }
}

// WithBackoff sets the waits between attempts: drawn evenly from 0 to a bound
// that doubles from base to limit, never below floor. Default 500 ms, 10 s and
// 100 ms; 1 ms to 1 h each, floor <= base <= limit.
func WithBackoff(base, limit, floor time.Duration) Option {
	return func(c *config) { c.backoffBase, c.backoffCap, c.backoffFloor = base, limit, floor }
}

// WithAuthBackoff sets the waits after a refused login, which is not retried
// like a dead line: drawn evenly from 0 to a bound that doubles from base to
// limit, never below half of base. Default 30 s and 5 min; 1 ms to 24 h each,
// base <= limit.
func WithAuthBackoff(base, limit time.Duration) Option {
	return func(c *config) { c.authBase, c.authCap = base, limit }
}

// WithBreaker sets the circuit breaker of the node: it opens after failures
// (default 5; 1 to 1000) of attempts and of sessions without one session that
// was stable between them, lets no attempt through for openFor (default 15 s;
// 10 ms to 1 h), and closes after probes logins in a row (default 1; 1 to 100)
// or one stable session.
func WithBreaker(failures int, openFor time.Duration, probes int) Option {
	return func(c *config) { c.breakerFailures, c.breakerOpen, c.breakerProbes = failures, openFor, probes }
}

// WithStableAfter sets how long a session must have been up for the waits to
// start small again and the failures before it to be forgotten. Default 10 s; 0
// to 1 h.
func WithStableAfter(d time.Duration) Option { return func(c *config) { c.stableAfter = d } }

// WithOutboundQueue bounds the actions of a session that wait to be written: entries
// (default 128; 1 to 65,536) and bytes (default 5 MiB; 128 KiB, the size of
// the largest action, to 256 MiB).
func WithOutboundQueue(entries, bytes int) Option {
	return func(c *config) { c.queueEntries, c.queueBytes = entries, bytes }
}

// WithActionLanes gives the node n more sessions, for actions alone: default 0; 0
// to 8. Asterisk answers the actions of a session behind the events that it has
// queued there, and nothing at all while it runs a synchronous Originate or a
// WaitEvent. A lane logs in with Events: off, so that no answer waits for events.
//
// Lane 1 takes the actions. With two or more, those for which Asterisk holds the
// session (strategy.Strategy.Blocking) go to the others, each to the one that is
// held for the least time. Actions that concern the session of the events itself,
// Events and Filter, go there, and so does any action whose lane is down. Actions
// that are under way on different sessions overtake each other.
//
// Subscriptions deliver what comes on the session of the events. An event without
// its ActionID that a module of your own writes to the session of the action alone
// is lost on a lane, and counted in Stats.Unmatched: name it in the strategy of the
// action (NoActionID).
//
// A node takes actions only while the session of its events is up, whatever its
// lanes do, and they connect only then. StateChange.LanesDown and Stats.Lanes tell
// how they are. Each lane costs Asterisk a session: with allowmultiplelogin = no
// it lets none of them in.
func WithActionLanes(n int) Option { return func(c *config) { c.actionLanes = n } }

// WithPendingLimit bounds the actions of the node that wait for their answer. Default
// 5,000; 1 to 1,000,000.
func WithPendingLimit(n int) Option { return func(c *config) { c.pendingLimit = n } }

// WithActionTimeout bounds an answer unless the action's strategy says
// otherwise. Default 30 s; 1 ms to 24 h.
func WithActionTimeout(d time.Duration) Option { return func(c *config) { c.actionTimeout = d } }

// WithMalformedLimit ends a session with more than n malformed messages within
// window. Default 10 in 1 min; n 0 to 1,000,000, window 1 s to 24 h.
func WithMalformedLimit(n int, window time.Duration) Option {
	return func(c *config) { c.malformed, c.malformedWindow = n, window }
}

// WithEventQueue bounds the events of the node that wait to be dispatched.
// Default 10,000; 16 to 1,000,000. The memory is taken on demand.
func WithEventQueue(n int) Option { return func(c *config) { c.eventQueue = n } }

// WithDropSummary sets how often drops are logged, one record for each
// subscription that had any, and for one that is closed at once; the next waits
// until the handler has taken this one. Default 10 s; 10 ms to 1 h.
func WithDropSummary(interval time.Duration) Option {
	return func(c *config) { c.dropSummary = interval }
}

// WithEventsOnDemand has Asterisk send the events that subscriptions want, and
// little else, instead of all of which most are thrown away here. Default: off,
// Node.Events says what comes; with it that must be empty.
//
// Each session logs in with the mask of the classes of the events. Then it sets a
// filter of their names, if its user may (write class system): it costs Asterisk a
// regular expression for each event that the mask lets through. In addition
// FullyBooted, Shutdown and OriginateResponse come, which the client needs, and so
// the mask has the classes system and call at least.
//
// A subscription wants what it is Named for, which On does by itself; Where does
// not count. If it has no name, or one that Asterisk 18 to 23 do not broadcast, it
// wants all events, and the mask is "on".
//
// A subscription that is made before the login is sent misses nothing. One that is
// made later, and wants more than comes, has mask and filter widened in the
// background. It misses what Asterisk sends before it has done both: for about two
// round trips, and as long as an action holds the session (WithActionLanes spares
// it that). Stats tells what is in force. If Asterisk does not do it, the session
// ends with ErrEventMask, and the next one asks at its login. Nothing is narrowed
// before the next login.
//
// Send refuses the action Events with a *ConfigError, and likewise an action that
// is complete by a broadcast (strategy.Async) which nobody wants. A Filter action
// of yours that excludes works as ever. One that includes only adds to what comes,
// and so do the filters of the client to an eventfilter of manager.conf that
// includes: do not rely on one to keep events from such a user.
func WithEventsOnDemand() Option { return func(c *config) { c.onDemand = true } }

// WithResolver looks host names up with r, at every attempt, within the dial
// timeout; if that fails or takes longer, the addresses of the last lookup
// serve. It is called by many nodes at the same time. Default:
// net.DefaultResolver.
func WithResolver(r Resolver) Option { return func(c *config) { c.resolver = r } }

// WithLiteralAddresses refuses host names in Node.Addr: a lookup can fail or
// hang when it is needed most.
func WithLiteralAddresses() Option { return func(c *config) { c.literal = true } }

// WithDialer connects with dial instead of a net.Dialer. It gets host:port as
// in Node.Addr, with the port filled in and the host not looked up unless
// WithResolver is given as well. dial must return when ctx ends: Close waits
// for it. If it panics or returns neither a connection nor an error, the attempt
// fails with a *ConnError; if the connection does, the session ends. Nodes and lanes call it at the same time. If it makes the connection
// TLS itself it must return a *tls.Conn as it is, so that actions are written in
// records that Asterisk can take.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(c *config) { c.dial = dial }
}
