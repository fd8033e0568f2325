package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// demoConfig is what the flags of "ami demo" set.
type demoConfig struct {
	length time.Duration
	rate   float64 // calls per second on the fake Asterisk
	addr   string  // of a real server; empty: the fake one
	user   string
	secret ami.Secret
	tls    bool
}

func parseDemo(args []string, stderr io.Writer) (demoConfig, error) {
	var c demoConfig
	var secretFile string
	f := flag.NewFlagSet("ami demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&c.length, "for", 10*time.Second, "how long to watch events")
	f.Float64Var(&c.rate, "rate", 2, "calls per second on the fake Asterisk")
	f.StringVar(&c.addr, "addr", "", "host:port of a real server instead of the fake Asterisk")
	f.StringVar(&c.user, "user", "", "user of that server's manager.conf")
	f.StringVar(&secretFile, "secret-file", "", "file that holds the user's secret")
	f.BoolVar(&c.tls, "tls", false, "connect to that server with TLS")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	err := func() error {
		switch {
		case f.NArg() > 0:
			return fmt.Errorf("unexpected argument %q", f.Arg(0))
		case c.length <= 0:
			return errors.New("--for must be positive")
		case c.rate <= 0 || c.rate > 1000:
			return errors.New("--rate must be above 0 and at most 1000")
		case c.addr == "":
			return nil
		case c.user == "" || secretFile == "":
			return errors.New("--addr needs --user and --secret-file")
		}
		secret, err := os.ReadFile(secretFile)
		c.secret = ami.NewSecret(strings.TrimRight(string(secret), "\r\n"))
		return err
	}()
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "ami demo:", err)
	}
	return c, err
}

// demo shows a login, a few actions, the event stream and, on the fake
// Asterisk, what a lost connection looks like.
func demo(ctx context.Context, cfg demoConfig, out io.Writer) error {
	d := &demonstration{out: out}
	node := ami.Node{Key: "pbx1", Addr: cfg.addr, Username: cfg.user, Secret: cfg.secret}
	if cfg.tls {
		node.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.addr == "" {
		d.server = amitest.NewServer(amitest.WithTCP(), amitest.WithCalls(cfg.rate), amitest.WithTimestamps())
		defer d.server.Close()
		node.Addr, node.Username, node.Secret = d.server.Addr(), "admin", ami.NewSecret("secret")
	}
	client, err := ami.Dial(ctx, node)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // always nil
	d.client = client
	events := client.Subscribe()
	s := client.Stats()
	d.say("logged in to %s as %s: %s, session %d", node, node.Username, s.Banner, s.Epoch)
	if err := d.actions(ctx); err != nil {
		return err
	}
	d.watch(ctx, events, cfg.length)

	s = client.Stats()
	d.say("\n%d events received, %d shown, %d dropped; %d logins, %d sessions lost; %d actions answered",
		s.Events, d.shown, events.Dropped(), s.Connects, s.Losses, d.answered)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return client.Shutdown(stop)
}

type demonstration struct {
	out      io.Writer
	client   *ami.Client
	server   *amitest.Server // nil with a real server
	shown    int
	answered int
}

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...) // nobody is left to tell
}

func (d *demonstration) actions(ctx context.Context) error {
	start := time.Now()
	if _, err := d.client.Send(ctx, action.Ping{}); err != nil {
		return err
	}
	d.say("Ping answered in %v", time.Since(start).Round(time.Microsecond))

	d.say("\nChannels:")
	n := 0
	for f, err := range d.client.List(ctx, action.CoreShowChannels{}) {
		if err != nil {
			return err
		}
		n++
		d.say("  %-32s %-10s %s", f.Get("Channel"), f.Get("ChannelStateDesc"), f.Get("Application"))
	}
	d.say("  %d in all", n)

	const command = "core show version"
	d.say("\n%s:", command)
	r, err := d.client.Send(ctx, action.Command{Command: command})
	if err != nil {
		return err
	}
	for _, line := range r.Output() {
		d.say("  %s", line)
	}
	d.answered = 3
	return nil
}

// watch prints events for a while, and kills the fake server's connection once.
func (d *demonstration) watch(ctx context.Context, events *ami.Subscription, length time.Duration) {
	d.say("\nEvents:")
	over, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	if d.server != nil {
		kill := time.AfterFunc(length/2, func() {
			for _, s := range d.server.Sessions() {
				s.Reset()
			}
		})
		defer kill.Stop()
	}
	for e, err := range events.All(over) {
		if err != nil {
			return // the time is up, or Ctrl-C
		}
		d.show(e)
	}
}

func (d *demonstration) show(e event.Event) {
	d.shown++
	at := e.Time.Format("15:04:05.000")
	if gap, ok := e.Gap(); ok {
		d.say("%s %s -- gap: away for %v, now session %d (%v)", at, e.Node, gap.Down.Round(time.Millisecond), gap.To, gap.Reason)
		return
	}
	if e.Lost > 0 {
		d.say("%s %s -- %d events dropped", at, e.Node, e.Lost)
	}
	d.say("%s %s %-18s %-30s %s", at, e.Node, e.Name(), e.Get("Channel"), e.Get("ChannelStateDesc"))
}
