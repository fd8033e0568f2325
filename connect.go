package ami

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/apn/ami/action"
	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
)

// resolve returns what may be dialled for the node: its address, or those of its
// host name.
func (l *lane) resolve(ctx context.Context) ([]string, error) {
	c := l.client
	if c.lookup == nil {
		return []string{c.node.Addr}, nil
	}
	rctx, cancel := context.WithTimeout(ctx, c.cfg.dialTimeout)
	defer cancel()
	hosts, err := c.lookup.hosts(rctx, c.host)
	err = c.cfg.foreign(err)
	l.panicked(opResolve, err)
	if len(hosts) == 0 {
		return nil, l.failed(ctx, opResolve, err)
	}
	addrs := make([]string, 0, len(hosts))
	for _, h := range hosts {
		addrs = append(addrs, net.JoinHostPort(h, c.port))
	}
	return addrs, nil
}

// failed is the error of an attempt. If ctx has ended, that was the cause. What
// code of the user has returned has gone through foreign.
func (l *lane) failed(ctx context.Context, op string, err error) error {
	l.panicked(op, err)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	n := &l.client.node
	return &ConnError{Node: n.Key, Addr: n.Addr, Lane: l.index, Op: op, Err: l.client.cfg.redacted(err)}
}

// connect makes the next session, from dial to login. On failure nothing of it
// is left. The supervisor calls it.
func (l *lane) connect(ctx context.Context, addrs []string) (*session, error) {
	c := l.client
	secret, err := l.askSecret(ctx) // first: nobody waits for it at the other end
	if err != nil {
		return nil, l.failed(ctx, opSecret, err)
	}
	dctx, cancel := context.WithTimeout(ctx, c.cfg.dialTimeout)
	defer cancel()
	deadline, _ := dctx.Deadline()
	secured, err := l.askTLS(dctx)
	if err != nil {
		return nil, l.failed(ctx, opTLS, err)
	}

	socket, op, err := c.dialNode(dctx, addrs, secured)
	if err != nil {
		return nil, l.failed(ctx, op, err)
	}
	s := newSession(l)
	_, secure := socket.(*tls.Conn)
	s.conn = conn.New(socket, conn.Config{
		Limits: c.cfg.limits, QueueEntries: c.cfg.queueEntries, QueueBytes: int64(c.cfg.queueBytes),
		WriteTimeout: c.cfg.writeTimeout, Records: secure,
		OnFrame: s.onFrame, OnMalformed: s.onMalformed, OnQuiet: s.flush,
	})
	// A blocked read knows no context: closing the socket ends it.
	stop := context.AfterFunc(ctx, func() { s.conn.Close(context.Cause(ctx)) })
	defer stop()

	l.set(Connected, nil)
	op, err = opBanner, s.conn.SetDeadline(deadline)
	if err == nil {
		s.banner, err = s.conn.Banner()
	}
	if err == nil {
		l.set(Authenticating, nil)
		op, err = opLogin, s.conn.SetDeadline(time.Now().Add(c.cfg.loginTimeout))
	}
	if err == nil {
		err = s.login(secret)
	}
	if err != nil {
		s.conn.Close(err)
		return nil, l.failed(ctx, op, err)
	}
	s.epoch = c.epochs.Add(1)
	return s, nil
}

// dialNode returns a connected socket, TLS included if secured is not nil.
func (c *Client) dialNode(ctx context.Context, addrs []string, secured *tls.Config) (socket net.Conn, op string, err error) {
	dial := c.cfg.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	for i, addr := range addrs {
		// Each address gets its share of the time left: a dead first one must
		// not take it all.
		deadline, _ := ctx.Deadline()
		share := time.Until(deadline) / time.Duration(len(addrs)-i)
		actx, cancel := context.WithTimeout(ctx, share)
		socket, err = guarded(func() (net.Conn, error) { return dial(actx, "tcp", addr) })
		cancel()
		if err == nil && isNil(socket) {
			err = errors.New("the dialer returned no connection and no error")
		}
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, opDial, c.cfg.foreign(err)
	}
	if _, secure := socket.(*tls.Conn); c.cfg.dial != nil && !secure { // that one is handed on as it is
		socket = guardedConn{socket, c.cfg}
	}
	if secured == nil {
		return socket, "", nil
	}
	secure := tls.Client(socket, secured)
	// The config may have callbacks of the user.
	if _, err := guarded(func() (any, error) { return nil, secure.HandshakeContext(ctx) }); err != nil {
		_ = socket.Close() // the handshake's error is the one to tell
		return nil, opTLS, c.cfg.foreign(err)
	}
	return secure, "", nil
}

// isNil reports whether a dialer returned nothing, be it as a nil pointer.
func isNil(socket net.Conn) bool {
	v := reflect.ValueOf(socket)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// login authenticates. Events that come before it has succeeded are dropped:
// nobody may see them.
func (s *session) login(secret Secret) error {
	c := s.lane.client
	login := action.Login{Username: c.node.Username, Secret: secret}
	if c.node.Auth == AuthMD5 {
		f, err := s.ask(action.Challenge{})
		if err != nil {
			return err
		}
		challenge := f.Get("Challenge")
		if challenge == "" { // the sum of the secret alone would give it away
			return fmt.Errorf("%w: the answer to Challenge holds no challenge", ErrAuth)
		}
		login.Secret, login.Key = Secret{}, action.ChallengeKey(challenge, secret)
	}
	if c.cfg.onDemand && s.lane.index == 0 {
		s.demand = newDemand(s)
	}
	login.Events = s.eventMask()
	_, err := s.ask(login, secret, login.Key)
	return err
}

// shuttingDown is what every action gets meanwhile, a correct Login as well
// (main/manager.c:process_message).
const shuttingDown = "Asterisk is shutting down"

// ask sends one action of the login and reads up to its Response. A refusal that
// repeats one of the secrets is told without it.
func (s *session) ask(a action.Action, secrets ...Secret) (*frame.Frame, error) {
	c := s.lane.client
	p := c.table.New(a.Strategy()) // for its ActionID only
	out, err := encode(a, p.ID, false)
	if err != nil {
		return nil, err
	}
	if err := s.conn.Write(out); err != nil {
		return nil, err
	}
	for {
		f, err := s.conn.Next()
		if err != nil {
			if malformed, ok := errors.AsType[*frame.FormatError](err); ok {
				if err = s.onMalformed(malformed); err == nil {
					continue
				}
			}
			return nil, err
		}
		if f.Kind() != frame.Response || f.ActionID() != p.ID {
			continue
		}
		if f.Name() == "Success" {
			return f, nil
		}
		message := oneLine(f.Get("Message"))
		if strings.EqualFold(message, shuttingDown) {
			return nil, fmt.Errorf("%w: Asterisk says %q", ErrShutdown, message)
		}
		return nil, fmt.Errorf("%w: Asterisk says %q", ErrAuth, without(c.cfg.redact.Text(message), secrets...))
	}
}
