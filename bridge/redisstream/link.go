package redisstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A link is a client of the library that makes one connection and is dropped when
// a call on it fails: how often and when to try again is the bridge's matter, and
// the library's pool must not dial behind its back.
type link struct {
	client *redis.Client
	ctx    context.Context // of the dialing; ends with close
	end    context.CancelFunc
}

// silent makes the library silent, once for the process. It writes to standard
// error, where a library has no business, what the errors of its calls tell as
// well. It has no other switch than that for all of its clients.
var silent = sync.OnceFunc(logging.Disable)

// link makes one without a connection.
func (b *Broker) link() *link {
	l := &link{}
	l.ctx, l.end = context.WithCancel(context.Background())
	u, _ := url.Parse(b.o.URL) // complete has checked it
	db, _ := database(u)
	plain := &net.Dialer{Timeout: b.o.DialTimeout}
	dial := plain.DialContext
	if u.Scheme == "rediss" {
		dial = (&tls.Dialer{NetDialer: plain, Config: cmp.Or(b.o.TLS, &tls.Config{MinVersion: tls.VersionTLS12})}).DialContext
	}
	l.client = redis.NewClient(&redis.Options{
		Addr: address(u), DB: db, Username: b.o.User, Password: b.o.Password.Reveal(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			b.counts.connects.Add(1)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(l.ctx, cancel)()
			return dial(ctx, network, addr)
		},
		Protocol: 2, DisableIdentity: true, // it asks for no more permissions than needed
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, DialerRetries: 1, // who calls tries again
		DialTimeout: b.o.DialTimeout, ReadTimeout: b.o.AckTimeout, WriteTimeout: b.o.AckTimeout,
		WriteBufferSize: 128 << 10,
	})
	return l
}

// close ends the connection, whatever it waits for.
func (l *link) close() {
	l.end()
	_ = l.client.Close() // nothing more is wanted of it
}

// call calls f with the client of a link, which it makes if there is none. What f
// waits for ends with ctx.
func (b *Broker) call(ctx context.Context, at **link, f func(*redis.Client) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if *at == nil {
		*at = b.link()
	}
	l := *at
	stop := context.AfterFunc(ctx, l.close) // the library looks at deadlines alone, and only between its reads
	err := f(l.client)
	if ended := !stop(); ended || err != nil {
		b.drop(at)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", err, b.o.shown())
	}
	return nil
}

// drop ends a link: the next that needs one makes it anew.
func (b *Broker) drop(at **link) {
	if l := *at; l != nil {
		l.close()
		*at = nil
	}
}
