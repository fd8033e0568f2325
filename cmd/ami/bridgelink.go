package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
	"github.com/apn/ami/bridge/jetstream"
	"github.com/apn/ami/bridge/lease"
	"github.com/apn/ami/bridge/redisstream"
	"github.com/apn/ami/config"
)

// A link is the way to a broker.
type link struct {
	name   string // "nats", "redis"
	url    string
	broker bridge.Broker // the bridge closes it
	leases *lease.Keeper // nil without
	log    *slog.Logger

	server *embedded.Server // nil: it is not ours
	conn   *nats.Conn       // of the leases
}

// close ends what the bridge does not.
func (l *link) close() {
	if l.conn != nil {
		l.conn.Close()
	}
	if l.server != nil {
		if err := l.server.Close(); err != nil {
			l.log.Warn("the NATS server in this process did not end in order", "error", err)
		}
	}
}

// What the NATS server in this process keeps. It has 10 GiB in all.
const (
	keepFor  = 24 * time.Hour
	keepMost = 8 << 30
)

// connect makes the way to the broker. A broker that is away is waited for later.
func (b *bridging) connect(ctx context.Context, c *config.Config) (*link, error) {
	if b.redis != "" {
		return b.toRedis(ctx)
	}
	l := &link{name: "nats", log: b.log}
	o := jetstream.Options{Lazy: true, CredentialsFile: b.natsCreds, Logger: b.log}
	if b.nats == "" {
		if err := l.serve(ctx, b); err != nil {
			return nil, err
		}
		l.url, o.Server = l.server.URL(), l.server
		o.MaxAge, o.MaxBytes, o.Update = keepFor, keepMost, true
	} else {
		u, err := url.Parse(b.nats)
		if err != nil || u.User == nil && strings.Contains(b.nats, "@") {
			return nil, wrong("--nats must be a URL, as nats://broker.example.com:4222") // the error would show a password
		}
		l.url = u.Redacted()
		if password, ok := u.User.Password(); ok {
			o.User, o.Password = u.User.Username(), ami.NewSecret(password)
			u.User = nil
		}
		o.URL = u.String()
	}
	if err := l.open(ctx, b, c, o); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// toRedis makes the way to Redis.
func (b *bridging) toRedis(ctx context.Context) (*link, error) {
	u, err := url.Parse(b.redis)
	if err != nil {
		return nil, wrong("--redis must be a URL, as redis://redis.example.com:6379") // as with --nats
	}
	password, ok := u.User.Password()
	if !ok {
		password = b.app.target.env("REDISCLI_AUTH") // as redis-cli has it
	}
	l := &link{name: "redis", url: u.Redacted(), log: b.log}
	o := redisstream.Options{Lazy: true, MaxLen: b.redisMaxLen, User: u.User.Username(), Password: ami.NewSecret(password)}
	u.User = nil
	o.URL = u.String()
	if l.broker, err = redisstream.Open(ctx, o); err != nil {
		if e, ok := errors.AsType[*ami.ConfigError](err); ok {
			return nil, wrong("--redis: %v", e)
		}
		return nil, err
	}
	return l, nil
}

// serve starts the server in this process.
func (l *link) serve(ctx context.Context, b *bridging) (err error) {
	port := b.natsPort
	if port == 0 {
		port = embedded.AnyPort
	}
	l.server, err = embedded.Start(ctx, embedded.Options{Dir: b.natsDir(), Port: port, Logger: b.log})
	if err != nil {
		return fmt.Errorf("the NATS server in this process: %w", err)
	}
	return nil
}

func (l *link) open(ctx context.Context, b *bridging, c *config.Config, o jetstream.Options) error {
	broker, err := jetstream.Open(ctx, o)
	if err != nil {
		if e, ok := errors.AsType[*ami.ConfigError](err); ok {
			return wrong("--nats: %v", e)
		}
		return err
	}
	l.broker = broker
	if b.leases {
		if err := l.share(b, c, o); err != nil {
			return errors.Join(err, broker.Close())
		}
	}
	return nil
}

// share makes what the leases need. Its connection comes back for ever.
func (l *link) share(b *bridging, c *config.Config, o jetstream.Options) error {
	opts := []nats.Option{
		nats.Name("ami bridge leases"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("NATS complains", "error", err) }),
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	if o.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(o.CredentialsFile))
	}
	var err error
	if l.conn, err = nats.Connect(o.URL, opts...); err != nil {
		return fmt.Errorf("--nats: %w", err)
	}
	js, err := natsjs.New(l.conn)
	if err != nil {
		return err
	}
	l.leases, err = lease.New(js, lease.Options{
		Instance: b.instance, Nodes: keysOf(c), Grace: min(b.grace/2, lease.DefaultGrace), Logger: b.log,
	})
	return err
}
