// Package supervise decides when a node may be dialled again.
package supervise

import (
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker/v2"
)

// Config holds the policy. All durations are positive.
type Config struct {
	// Waits between attempts: drawn evenly from 0 to a bound that starts at
	// Base and doubles up to Cap, but never below Floor.
	Base, Cap, Floor time.Duration
	// The same after a refused login, so that no account is hammered; these
	// waits are never below half of AuthBase.
	AuthBase, AuthCap time.Duration

	Failures int           // since a session was Stable that open the breaker
	OpenFor  time.Duration // how long it stays open
	Probes   uint32        // successes in a row that close it again; a Stable session is as good

	// OnBreaker is told of each change. It is called with the breaker's lock
	// held and must not call into Retry.
	OnBreaker func(from, to string)
}

// A Retry is the policy and its state for one node. The node's supervisor
// goroutine owns it; Breaker alone may be called from elsewhere.
type Retry struct {
	cfg     Config
	network *backoff.ExponentialBackOff
	auth    *backoff.ExponentialBackOff
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	// Failures since a session was Stable. The breaker's own count starts anew
	// at every login, so that sessions which die young would never open it.
	failures int
}

// New returns a Retry that allows the first attempt at once.
func New(cfg Config) *Retry {
	r := &Retry{cfg: cfg, network: fullJitter(cfg.Base, cfg.Cap), auth: fullJitter(cfg.AuthBase, cfg.AuthCap)}
	r.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: cfg.Probes,
		Timeout:     cfg.OpenFor,
		ReadyToTrip: func(gobreaker.Counts) bool { return r.failures >= cfg.Failures },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			cfg.OnBreaker(from.String(), to.String())
		},
	})
	return r
}

// fullJitter draws from [0, bound] with the bound doubling from base to limit.
// The library draws from interval ± factor × interval and its MaxInterval
// bounds the interval, so factor 1 on half of both does it. The constructor is
// a must: a literal waits 0; and without MaxElapsedTime 0 it gives up after a
// quarter of an hour.
func fullJitter(base, limit time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(base/2),
		backoff.WithMaxInterval(limit/2),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1),
		backoff.WithMaxElapsedTime(0),
	)
}

// Attempt runs try and tells the breaker at once how it went: a probe that is
// never reported would block a half-open breaker for ever. It returns the
// breaker's error, without running try, while the breaker is open.
func (r *Retry) Attempt(try func() error) error {
	report, err := r.breaker.Allow()
	if err != nil {
		return err
	}
	if err = try(); err != nil {
		r.failures++
	}
	report(err)
	return err
}

// Lost counts the end of a session that had been up as a failure.
func (r *Retry) Lost(cause error) {
	r.failures++
	if report, err := r.breaker.Allow(); err == nil {
		report(cause)
	}
}

// Wait returns how long to wait before the next attempt. refused says that the
// login was refused.
func (r *Retry) Wait(refused bool) time.Duration {
	policy, floor := r.network, r.cfg.Floor
	if refused {
		policy, floor = r.auth, r.cfg.AuthBase/2
	}
	wait := max(policy.NextBackOff(), floor)
	if r.breaker.State() == gobreaker.StateOpen {
		// It turns half-open strictly after OpenFor.
		wait = max(wait, r.cfg.OpenFor+1)
	}
	return wait
}

// Stable says that a session has been up long enough for the waits to start
// small again and the breaker to close. A node has one session: with more than
// one probe no further login would ever come to close it.
func (r *Retry) Stable() {
	r.network.Reset()
	r.auth.Reset()
	r.failures = 0
	for r.breaker.State() == gobreaker.StateHalfOpen {
		report, err := r.breaker.Allow()
		if err != nil {
			return
		}
		report(nil)
	}
}

// Breaker returns "closed", "half-open" or "open".
func (r *Retry) Breaker() string { return r.breaker.State().String() }
