package jetstream

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is returned once Close was called.
var ErrClosed = errors.New("jetstream: closed")

// ErrAckTimeout is returned by Publish if the server has confirmed nothing for
// Options.AckTimeout.
var ErrAckTimeout = errors.New("jetstream: the server does not confirm")

// ErrFull is returned by Publish if the stream or the server has no room and
// drops nothing to make some (Options.DiscardNew, or limits of the account).
var ErrFull = errors.New("jetstream: no room")

// A DeniedError reports that the server does not permit the user something. It
// says so apart from any answer, which never comes.
type DeniedError struct {
	Subject string // that may not be published to, or subscribed to; "" if the server has not told
	Err     error  // what the server said
}

func (e *DeniedError) Error() string { return "jetstream: not permitted: " + e.Err.Error() }

// Unwrap returns Err, which is nats.ErrPermissionViolation.
func (e *DeniedError) Unwrap() error { return e.Err }

// A Difference is one setting of a stream that is not as wanted.
type Difference struct {
	Setting string // as the server names it: "max_age", "subjects", …
	Want    string
	Have    string
}

// A StreamError reports a stream that is there already and is not as Options say.
// It was left as it is.
type StreamError struct {
	Stream      string
	Differences []Difference
}

func (e *StreamError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "jetstream: stream %s is there with other settings:", e.Stream)
	for i, d := range e.Differences {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s is %s, not %s", d.Setting, d.Have, d.Want)
	}
	return b.String()
}

// An UnsupportedError reports a server that is too old for what was asked of it.
type UnsupportedError struct {
	Feature string // "fencing"
	Need    string // the first version that has it
	Have    string // the server's version
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("jetstream: %s needs nats-server %s; this is %s", e.Feature, e.Need, e.Have)
}
