package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/redisstream"
	"github.com/apn/ami/bridge/spool"
	"github.com/apn/ami/config"
	amiprom "github.com/apn/ami/telemetry/prometheus"
)

// A bridging is one call of "ami bridge".
type bridging struct {
	app *app
	log *slog.Logger

	nats, natsCreds     string
	natsPort            int
	redis               string
	redisMaxLen         int64
	data, http          string
	allow               []string
	instance, source    string
	cloudEvents, leases bool
	grace               time.Duration
	spoolBytes          int64
}

// bridgeCommand is "ami bridge".
func (a *app) bridgeCommand() *cobra.Command {
	b := &bridging{app: a}
	cmd := &cobra.Command{
		Use:   "bridge",
		Short: "Publish events on a broker, and take actions from it",
		Long: `Publishes the events of all nodes, or of those that --node names, on NATS
JetStream, and takes actions from there, so that any number of services work with
the servers over one login. It runs until it is told to end.

Without --nats it runs a NATS server itself, which listens on 127.0.0.1 and
keeps its streams in --data.

With --redis it publishes on Redis Streams instead, one for each node. There are
no actions and no leases over Redis. The password is that of the URL, or
$REDISCLI_AUTH.

Everything goes through a spool in --data first: a broker that is away, or the
death of this process, loses nothing that was received. When the spool is full,
the oldest records go, and gaps tell how many.

Requests may ask for actions that only read, unless --allow says otherwise:
an action, a pattern ("Queue*"), "readonly" for those of the default, or "none";
behind "NODE=" for one node, behind "any=" for requests that name no node.

With --leases several processes share the nodes: each node is held by one of
them, and another takes over when that dies. All need the same configuration,
a --nats of their own outside of them, and a --data and --instance for each.

--http serves /healthz, /readyz, /metrics and /nodes. It knows no users.

On SIGHUP it reads the configuration again, as listen does; not with --leases.`,
		Example: `  ami bridge
  nats sub 'ami.events.*.Hangup'                 what it publishes
  nats req ami.actions.pbx1 '{"action":"CoreShowChannels"}'
  ami bridge --nats nats://broker.example.com --data /var/lib/ami-bridge
  ami bridge --redis redis://redis.example.com --data /var/lib/ami-bridge
  ami bridge --allow readonly --allow 'Queue*' --allow pbx1=Originate
  ami bridge --nats nats://broker.example.com --leases --instance bridge-a`,
		Args: cobra.NoArgs,
	}
	a.nodeFlags(cmd)
	a.jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&b.nats, "nats", "", "`URL` of NATS (default $NATS_URL, else a server in this process)")
	f.StringVar(&b.natsCreds, "nats-creds", "", "`file` with the credentials for NATS")
	f.IntVar(&b.natsPort, "nats-port", 4222, "`port` of 127.0.0.1 for the NATS server in this process; 0 for any")
	f.StringVar(&b.redis, "redis", "", "`URL` of Redis, to publish there and not on NATS")
	f.Int64Var(&b.redisMaxLen, "redis-maxlen", redisstream.DefaultMaxLen, "`records` that Redis keeps of each node; -1 for all")
	f.StringVar(&b.data, "data", "ami-bridge", "`folder` of the spool, and of the NATS server in this process")
	f.StringVar(&b.http, "http", "127.0.0.1:8089", "`address` of health and metrics; \"\" for none")
	f.StringArrayVar(&b.allow, "allow", nil, "`[node=]action` that requests may ask for; may be repeated (default readonly)")
	f.StringVar(&b.instance, "instance", "", "`name` of this process (default that of the host)")
	f.BoolVar(&b.cloudEvents, "cloudevents", false, "put each record into an envelope of CloudEvents 1.0")
	f.StringVar(&b.source, "source", "", "`URI` that is its source, with --cloudevents (default /ami/ and the instance)")
	f.BoolVar(&b.leases, "leases", false, "share the nodes with other processes")
	f.DurationVar(&b.grace, "grace", 30*time.Second, "how long the end may take to publish what was received")
	f.Int64Var(&b.spoolBytes, "spool-bytes", 1<<30, "how large the spool may become, 1048576 at least")
	_ = cmd.MarkFlagDirname("data")        // fails for a flag that there is not
	_ = cmd.MarkFlagFilename("nats-creds") // as above
	level := logFlag(cmd)
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context(), level) })
	return cmd
}

// check refuses flags that do not go together.
func (b *bridging) check() error {
	if b.redis != "" && b.nats != "" {
		return wrong("--redis and --nats exclude each other")
	}
	if b.nats == "" && b.redis == "" { // what is said goes before the environment
		b.nats = b.app.target.env("NATS_URL")
	}
	if b.instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return wrong("--instance is required: the host has no name: %v", err)
		}
		b.instance = host
	}
	switch {
	case b.data == "":
		return wrong("--data must not be empty")
	case b.leases && b.redis != "":
		return wrong("--leases needs --nats: there are no leases over Redis")
	case len(b.allow) > 0 && b.redis != "":
		return wrong("--allow needs NATS: there are no requests over Redis")
	case b.redisMaxLen != redisstream.DefaultMaxLen && b.redis == "":
		return wrong("--redis-maxlen needs --redis")
	case b.redisMaxLen < -1 || b.redisMaxLen == 0:
		return wrong("--redis-maxlen must be positive, or -1 for all")
	case b.leases && b.nats == "":
		return wrong("--leases needs --nats: the processes meet there")
	case b.natsPort < 0 || b.natsPort > 65535:
		return wrong("--nats-port must be 0 to 65535")
	case b.natsCreds != "" && b.nats == "":
		return wrong("--nats-creds needs --nats")
	case strings.ContainsAny(b.natsCreds, "\r\n"): // it must not be shown
		return wrong("--nats-creds must be the name of a file, and looks like the content of one")
	case b.natsCreds != "" && !isFile(b.natsCreds):
		return wrong("--nats-creds: there is no file %s", b.natsCreds)
	case b.source != "" && !b.cloudEvents:
		return wrong("--source needs --cloudevents")
	case b.grace <= 0 || b.grace > time.Hour:
		return wrong("--grace must be positive and 1h at most")
	case b.spoolBytes < 1<<20:
		return wrong("--spool-bytes must be 1048576 at least")
	}
	return nil
}

func isFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// eventQueue is how many events of a node may wait. It is more than the default of
// the library: the disk is behind it, so that memory is the only bound.
const eventQueue = 100_000

// run bridges until ctx ends.
func (b *bridging) run(ctx context.Context, level slog.Leveler) error {
	if err := b.check(); err != nil {
		return err
	}
	c, err := b.app.chosen(ctx)
	if err != nil {
		return err
	}
	allow, err := parseAllow(b.allow, keysOf(c))
	if err != nil {
		return err
	}
	log, end, err := b.app.log(level)
	if err != nil {
		return err
	}
	defer end()
	b.log = log
	metrics := amiprom.NewCollector()
	options := append([]ami.Option{ami.WithEventQueue(eventQueue)}, c.Options()...) // the configuration has the last word
	cluster, err := ami.NewCluster(c.Nodes(), append(options, ami.WithLogger(log), ami.WithObserver(metrics))...)
	if err != nil {
		return err
	}
	metrics.WatchCluster(cluster)
	link, err := b.connect(ctx, c)
	if err != nil {
		return err
	}
	defer link.close()
	o := bridge.Options{
		Dir: b.data, Instance: b.instance, Spool: spool.Options{MaxBytes: b.spoolBytes}, Grace: b.grace, Allow: allow,
		CloudEvents: b.cloudEvents, Source: b.source, Leases: link.leases, Metrics: []prometheus.Collector{metrics}, Logger: log,
	}
	if link.leases != nil {
		o.Nodes = c.Nodes()
	}
	br, err := bridge.New(cluster, link.broker, o)
	if err != nil {
		if e, ok := errors.AsType[*bridge.OptionError](err); ok {
			err = wrong("--%s %q %s", strings.ToLower(e.Option), e.Value, e.Reason)
		}
		return errors.Join(err, link.broker.Close())
	}
	return b.bridge(ctx, br, link, config.NewReloader(cluster, c))
}

// bridge runs all parts until ctx ends, and ends them in order.
func (b *bridging) bridge(ctx context.Context, br *bridge.Bridge, link *link, reloader *config.Reloader) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	addr := ""
	if b.http != "" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.http)
		if err != nil {
			return errors.Join(fmt.Errorf("--http: %w", err), link.broker.Close())
		}
		addr = l.Addr().String()
		srv := &http.Server{
			Handler: br.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		}
		parts.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				b.log.Error("health and metrics are not served any more", "error", err)
			}
		})
		defer func() { _ = srv.Close() }() // who asks may wait: nothing is lost
	}
	if !b.leases {
		hangup := make(chan os.Signal, 1) // one more is as good as many
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		r := &listening{app: b.app, log: b.log, reloader: reloader}
		parts.Go(func() { r.reloads(ctx, hangup) })
	}
	if b.app.out.json {
		b.app.out.object(map[string]string{link.name: link.url, "http": addr, "data": b.data})
	} else {
		b.app.out.line("bridging to %s; data in %s%s", link.url, b.data, prefixed("; health and metrics on http://", addr))
	}
	b.app.out.flush()
	err := br.Run(ctx)
	stop()
	return err
}

// prefixed puts a text before another one, if there is one.
func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// parseAllow reads what --allow says. Without any it returns nil, for the default.
func parseAllow(entries, nodes []string) (bridge.Allow, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	allow := bridge.Allow{}
	for _, e := range entries {
		key, name, found := strings.Cut(e, "=")
		if !found {
			key, name = bridge.AllNodes, e
		}
		known := key == bridge.AllNodes || key == bridge.AnyNode
		for _, n := range nodes {
			known = known || n == key
		}
		if !known {
			return nil, wrong("--allow %s: no node %s in the configuration%s", e, key, didYouMean(key, nodes))
		}
		switch name {
		case "":
			return nil, wrong("--allow %s: which action?", e)
		case "none":
			allow[key] = append(allow[key], []string{}...)
		case "readonly":
			allow[key] = append(allow[key], bridge.ReadOnly()...)
		default:
			allow[key] = append(allow[key], name)
		}
		if allow[key] == nil {
			allow[key] = []string{}
		}
	}
	return allow, nil
}

// natsDir is where a NATS server in this process keeps its streams.
func (b *bridging) natsDir() string { return filepath.Join(b.data, "nats") }
