package jetstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

// A link is a connection that is not made again when it breaks: what was in
// flight on it is not sent again by the library, where later messages could
// overtake it. Whoever needs one dials the next.
type link struct {
	nc       *nats.Conn
	js       js.JetStream
	stream   js.Stream // as it was when the link was made
	replicas int       // of the stream

	ctx    context.Context // ends when the link breaks or is cut; its cause says why
	end    context.CancelCauseFunc
	denied chan *DeniedError // records that may not be published; nil: that ends the link
	raw    *wire
}

// A wire is the connection under one of the library, which is held for as long
// as a write to it takes.
type wire struct {
	ctx    context.Context // of the dialing
	dialer net.Dialer
	server nats.InProcessConnProvider

	mu   sync.Mutex
	conn net.Conn
	over bool
}

// Dial implements nats.CustomDialer.
func (w *wire) Dial(network, address string) (net.Conn, error) {
	conn, err := w.dialer.DialContext(w.ctx, network, address)
	if err != nil {
		return nil, err
	}
	return w.keep(conn)
}

// InProcessConn implements nats.InProcessConnProvider.
func (w *wire) InProcessConn() (net.Conn, error) {
	conn, err := w.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	return w.keep(conn)
}

func (w *wire) keep(conn net.Conn) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return nil, errors.Join(ErrClosed, conn.Close())
	}
	w.conn = conn
	return conn, nil
}

// cut ends the connection under the library's feet, and any write to it.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.conn != nil {
		_ = w.conn.Close() // nothing more is wanted of it
	}
}

// connect makes a connection with the options that all of ours have.
func (o *Options) connect(ctx context.Context, w *wire, more ...nats.Option) (*nats.Conn, error) {
	w.ctx, w.server = ctx, o.Server
	w.dialer.Timeout = o.DialTimeout
	opts := []nats.Option{
		nats.Name("ami bridge"),
		nats.Timeout(o.DialTimeout),
		nats.FlusherTimeout(o.AckTimeout),
		nats.SkipHostLookup(), // the dialer does it, and obeys the context
		nats.NoEcho(),
	}
	if o.Server != nil {
		opts = append(opts, nats.InProcessServer(w))
	} else {
		opts = append(opts, nats.SetCustomDialer(w))
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS.Clone()))
	} else if strings.Contains(o.URL, "tls://") {
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if o.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(o.CredentialsFile))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	// The first bytes come from the server: the library waits for them without a
	// look at the context.
	stop := context.AfterFunc(ctx, w.cut)
	defer stop()
	nc, err := nats.Connect(o.URL, append(opts, more...)...)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("jetstream: connect to %s: %w", o.shown(), err)
	}
	return nc, nil
}

// dial makes a link and checks the stream. One for records tells on denied which of
// them may not be published.
func (o *Options) dial(ctx context.Context, records bool) (*link, error) {
	l := &link{raw: &wire{}}
	if records {
		l.denied = make(chan *DeniedError, 2*maxWindow) // all that may be in flight
	}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	nc, err := o.connect(ctx, l.raw, nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.failed(o, err) }),
		nats.ClosedHandler(func(nc *nats.Conn) { l.end(lost(nc.LastError())) }))
	if err != nil {
		l.end(err)
		return nil, err
	}
	l.nc = nc
	if l.js, err = js.New(nc, js.WithDefaultTimeout(o.AckTimeout), js.WithPublishAsyncMaxPending(2*maxWindow)); err == nil {
		err = l.call(ctx, o.AckTimeout, func(ctx context.Context) error { return o.ensure(ctx, l) })
	}
	if err != nil {
		l.close(err)
		return nil, err
	}
	return l, nil
}

var errLost = errors.New("jetstream: the connection was lost")

func lost(err error) error {
	if err == nil {
		return errLost
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

var deniedSubject = regexp.MustCompile(`(Publish|Subscription) to "(\S+)"`)

// denial makes a DeniedError of what the library tells, or nil if it is not one.
func denial(err error) (d *DeniedError, publish bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil, false
	}
	d = &DeniedError{Err: err}
	if m := deniedSubject.FindStringSubmatch(err.Error()); m != nil {
		return &DeniedError{Subject: m[2], Err: err}, m[1] == "Publish"
	}
	return d, false
}

// failed is told what the server says apart from answers.
func (l *link) failed(o *Options, err error) {
	d, publish := denial(err)
	if d == nil {
		o.Logger.Warn("jetstream: the server complains", "error", err)
		return
	}
	if publish && strings.HasPrefix(d.Subject, o.Prefix+".events.") && l.denied != nil {
		select {
		case l.denied <- d:
			return
		default:
		}
	}
	l.end(d) // the answer that somebody waits for will not come
}

// call calls f with a context that ends when the link does, or after timeout.
func (l *link) call(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	ctx, release := context.WithTimeoutCause(ctx, timeout, ErrAckTimeout)
	defer release()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// close ends the link, if it has not ended, for the reason given.
func (l *link) close(reason error) {
	l.end(reason)
	l.raw.cut()
	l.nc.Close()
}
