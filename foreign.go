package ami

import (
	"errors"
	"fmt"
	"io"
)

// A foreignError is an error that code of the user has returned, with a text that
// may be shown. Its other forms hold nothing else: what it wraps may print more.
type foreignError struct {
	text string
	err  error
}

func (e *foreignError) Error() string { return e.text }
func (e *foreignError) Unwrap() error { return e.err }

// Format makes every verb print what Error returns.
func (e *foreignError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.text) }

var errProbe = errors.New("nobody returns this")

// foreign makes of an error of the user's code one that can be handled like any
// other: redacted, and sound. All that errors.Is and errors.As may call of it later
// is called here once. An error that panics meanwhile, by mistake most often a nil
// pointer in an error that is not nil, is not kept.
func (c *config) foreign(err error) (e error) {
	if err == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			e = fmt.Errorf("the %T that it returned cannot be used: %w", err, caught(v))
		}
	}()
	text := c.redact.Text(err.Error())
	_ = errors.Is(err, errProbe)
	_, _ = errors.AsType[*foreignError](err)
	return &foreignError{text, err}
}

// redacted returns err, or one with another text if that of err is not to be
// shown: of a socket that a dialer has made, say.
func (c *config) redacted(err error) error {
	e := c.foreign(err)
	if isForeign(e) && e.Error() == err.Error() {
		return err
	}
	return e
}
