package ami

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
)

// hangGrace is how long a callback has, when its context has ended, to return
// before it is left behind.
const hangGrace = 100 * time.Millisecond

// A callback is a function of the user's that a lane calls at each attempt to
// connect, and that may fail, panic or hang. The supervisor of the lane owns it.
type callback[T any] struct {
	left chan struct{} // of the call that was left behind, closed when it returns; nil: none was
}

// A hangError reports a callback that did not return in time.
type hangError struct{ cause error }

func (e *hangError) Error() string { return "the callback does not return: " + e.cause.Error() }
func (e *hangError) Unwrap() error { return e.cause }

// call calls f on a goroutine of its own and waits until ctx ends. A call that
// was left behind is waited for first, and what it returns is not used: it may
// be out of date.
func (c *callback[T]) call(ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	var none T
	if c.left != nil {
		select {
		case <-c.left:
			c.left = nil
		case <-ctx.Done():
			return none, &hangError{context.Cause(ctx)}
		}
	}
	var v T
	err := errEnded // unless it returns
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = guarded(func() (T, error) { return f(ctx) })
	}()
	select {
	case <-done:
		return v, err
	case <-ctx.Done():
	}
	select {
	case <-done:
		if err != nil { // one that obeys its context may say what kept it
			return none, err
		}
	case <-time.After(hangGrace):
		c.left = done
	}
	return none, &hangError{context.Cause(ctx)}
}

// askSecret returns the secret for the next login.
func (l *lane) askSecret(ctx context.Context) (Secret, error) {
	c := l.client
	if c.node.SecretFunc == nil {
		return c.node.Secret, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.loginTimeout)
	defer cancel()
	secret, err := l.secret.call(ctx, c.node.SecretFunc)
	if err != nil {
		return Secret{}, hide(c.cfg.foreign(err), secret)
	}
	if reason := badLogin(secret.Reveal()); reason != "" {
		return Secret{}, errors.New("the secret that the callback returned " + reason)
	}
	c.secret.Store(&secret)
	return secret, nil
}

// hide replaces the secret that came along with an error in its text.
func hide(err error, secret Secret) error {
	if text := without(err.Error(), secret); text != err.Error() {
		return &foreignError{text, err}
	}
	return err
}

// without returns a text with secrets hidden, wherever they stand in it.
func without(text string, secrets ...Secret) string {
	for _, secret := range secrets {
		if s := secret.Reveal(); s != "" {
			text = strings.ReplaceAll(text, s, secret.String())
		}
	}
	return text
}

// askTLS returns the config for the next connection, nil for one without TLS.
func (l *lane) askTLS(ctx context.Context) (*tls.Config, error) {
	c := l.client
	if c.node.TLSFunc == nil {
		return c.node.TLS, nil
	}
	config, err := l.secure.call(ctx, c.node.TLSFunc)
	switch {
	case err != nil:
		return nil, c.cfg.foreign(err)
	case config == nil:
		return nil, errors.New("the callback returned no TLS config")
	case tooOld(config) != "":
		return nil, fmt.Errorf("the callback allows %s: TLS 1.2 is the least", tooOld(config))
	}
	return serving(config, c.host), nil
}

// serving returns a copy of config for a server on host.
func serving(config *tls.Config, host string) *tls.Config {
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

// tooOld returns the version that a config allows or demands if that is below
// TLS 1.2, else "".
func tooOld(config *tls.Config) string {
	for _, v := range []uint16{config.MinVersion, config.MaxVersion} {
		if v != 0 && v < tls.VersionTLS12 {
			return tls.VersionName(v)
		}
	}
	return ""
}
