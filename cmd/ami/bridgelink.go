package main

import (
	"fmt"
	"net/url"
	"os"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
	"github.com/apn/ami/bridge/jetstream"
	"github.com/apn/ami/bridge/lease"
	"github.com/apn/ami/config"
)

// A link is the way to a broker.
type link struct {
	url    string
	broker bridge.Broker // the bridge closes it
	leases *lease.Keeper // nil without

	server *embedded.Server // nil: it is not ours
}

// close ends what the bridge does not.
func (l *link) close() {
	if l.server != nil {
		l.server.Close()
	}
}

// connect makes the way to the broker. A broker that is away is waited for later.
func (b *bridging) connect(c *config.Config) (*link, error) {
	l := &link{url: b.nats}
	shown, err := url.Parse(b.nats)
	if err != nil {
		return nil, wrong("--nats must be a URL, as nats://broker.example.com:4222") // the error would show a password
	}
	opts := []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("NATS is away", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info("NATS is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("NATS complains", "error", err) }),
	}
	if b.natsCreds != "" {
		if _, err := os.Stat(b.natsCreds); err != nil {
			return nil, wrong("--nats-creds: %v", err)
		}
		opts = append(opts, nats.UserCredentials(b.natsCreds))
	}
	if l.url == "" {
		if l.server, err = embedded.Start(b.natsDir(), b.natsListen); err != nil {
			return nil, fmt.Errorf("--nats-listen %s: %w", b.natsListen, err)
		}
		l.url = l.server.URL()
		opts = append(opts, l.server.InProcess())
	}
	if err := l.dial(b, c, opts); err != nil {
		l.close()
		return nil, err
	}
	if b.nats != "" {
		l.url = shown.Redacted()
	}
	return l, nil
}

func (l *link) dial(b *bridging, c *config.Config, opts []nats.Option) error {
	nc, err := jetstream.Connect(l.url, opts...)
	if err != nil {
		return fmt.Errorf("--nats: %w", err)
	}
	broker, err := jetstream.New(nc, jetstream.Options{Logger: b.log})
	if err != nil {
		nc.Close()
		return err
	}
	l.broker = broker
	if !b.leases {
		return nil
	}
	js, err := natsjs.New(nc)
	if err == nil {
		l.leases, err = lease.New(js, lease.Options{Instance: b.instance, Nodes: keysOf(c), Logger: b.log})
	}
	if err != nil {
		nc.Close()
	}
	return err
}
