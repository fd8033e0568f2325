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
	"sync"
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

// parseDemo reads the flags. It prints nothing: flag.ErrHelp comes with the help
// in it, any other error is one sentence.
func parseDemo(args []string) (demoConfig, error) {
	var c demoConfig
	var secretFile string
	f := flag.NewFlagSet("ami demo", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the flag package would print the whole help for every slip
	f.DurationVar(&c.length, "for", 10*time.Second, "how long to watch events")
	f.Float64Var(&c.rate, "rate", 2, "calls per second on the fake Asterisk")
	f.StringVar(&c.addr, "addr", "", "host:port of a real server instead of the fake Asterisk")
	f.StringVar(&c.user, "user", "", "user of that server's manager.conf")
	f.StringVar(&secretFile, "secret-file", "", "file that holds the user's secret")
	f.BoolVar(&c.tls, "tls", false, "connect to that server with TLS")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		var help strings.Builder
		f.SetOutput(&help)
		f.PrintDefaults()
		return c, fmt.Errorf("%w\n\nUsage: ami demo [flags]\n\n%s", flag.ErrHelp, help.String())
	} else if err != nil {
		return c, err
	}
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case c.length <= 0:
		return c, errors.New("--for must be positive")
	case !(c.rate > 0 && c.rate <= 1000): // NaN fails every comparison
		return c, errors.New("--rate must be above 0 and at most 1000")
	case c.addr == "" && (c.user != "" || secretFile != "" || c.tls):
		return c, errors.New("--user, --secret-file and --tls need --addr")
	case c.addr == "":
		return c, nil
	case c.user == "" || secretFile == "":
		return c, errors.New("--addr needs --user and --secret-file")
	}
	secret, err := os.ReadFile(secretFile)
	c.secret = ami.NewSecret(strings.TrimRight(string(secret), "\r\n"))
	return c, err
}

// demo shows a login, a few actions, the event stream and, on the fake
// Asterisk, what a lost connection looks like. The end of ctx is a clean end.
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
		if ctx.Err() != nil {
			d.say("interrupted before the login")
			return nil
		}
		return err
	}
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer func() { _ = client.Close() }() // always nil; it ends the watcher
	d.client = client
	events, states := client.Subscribe(), client.StateChanges(context.WithoutCancel(ctx))
	s := client.Stats()
	d.say("logged in to %s as %s: %s, state %s, session %d", node, node.Username, s.Banner, s.State, s.Epoch)

	if err := d.actions(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	watcher.Go(func() {
		for change := range states {
			d.showState(change)
		}
	})
	d.watch(ctx, events, cfg.length)

	s = client.Stats()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err = client.Shutdown(stop)
	watcher.Wait() // its last line comes before ours
	d.say("\n%d events received, %d shown, %d dropped; %d gaps; %d logins, %d sessions lost; %d actions answered",
		s.Events, d.shown, events.Dropped(), d.gaps, s.Connects, s.Losses, d.answered)
	return err
}

type demonstration struct {
	client   *ami.Client
	server   *amitest.Server // nil with a real server
	shown    int             // events
	gaps     int
	answered int

	mu  sync.Mutex
	out io.Writer
}

// say prints a line. Events and state changes come from two goroutines.
func (d *demonstration) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = fmt.Fprintf(d.out, format+"\n", args...) // nobody is left to tell
}

// refused shows that Asterisk said no, which an account with few privileges
// makes it do, and returns any other error.
func (d *demonstration) refused(err error) error {
	refusal, ok := errors.AsType[*ami.ActionError](err)
	if !ok {
		return err
	}
	d.answered++
	d.say("  refused: %s", refusal.Message)
	return nil
}

func (d *demonstration) actions(ctx context.Context) error {
	start := time.Now()
	if _, err := d.client.Send(ctx, action.Ping{}); err != nil {
		return err
	}
	d.answered++
	d.say("Ping answered in %v", time.Since(start).Round(time.Microsecond))

	d.say("\nChannels:")
	if err := d.channels(ctx); err != nil {
		return err
	}

	const command = "core show version"
	d.say("\n%s:", command)
	r, err := d.client.Send(ctx, action.Command{Command: command})
	if err != nil {
		return d.refused(err)
	}
	d.answered++
	for _, line := range r.Output() {
		d.say("  %s", line)
	}
	return nil
}

func (d *demonstration) channels(ctx context.Context) error {
	n := 0
	for f, err := range d.client.List(ctx, action.CoreShowChannels{}) {
		if err != nil {
			return d.refused(err)
		}
		n++
		d.say("  %-32s %-10s %s", f.Get("Channel"), f.Get("ChannelStateDesc"), f.Get("Application"))
	}
	d.answered++
	d.say("  %d in all", n)
	return nil
}

// watch prints events for a while, and kills the fake server's connection once.
func (d *demonstration) watch(ctx context.Context, events *ami.Subscription, length time.Duration) {
	d.say("\nEvents:")
	over, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	if d.server != nil {
		kill := time.AfterFunc(length/2, func() {
			d.say("%s the server resets the connection", clock(time.Now()))
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
	at := clock(e.Time)
	if gap, ok := e.Gap(); ok {
		d.gaps++
		d.say("%s %s -- gap: away for %v between sessions %d and %d", at, e.Node, gap.Down.Round(time.Millisecond), gap.From, gap.To)
		return
	}
	d.shown++
	if e.Lost > 0 {
		d.say("%s %s -- %d events dropped", at, e.Node, e.Lost)
	}
	line := fmt.Sprintf("%s %s %-18s %-30s %s", at, e.Node, e.Name(), e.Get("Channel"), e.Get("ChannelStateDesc"))
	d.say("%s", strings.TrimRight(line, " "))
}

func (d *demonstration) showState(c ami.StateChange) {
	why := ""
	if c.Reason != nil {
		why = ": " + c.Reason.Error()
	}
	d.say("%s %s -- %s -> %s%s", clock(c.At), c.Node, c.From, c.To, why)
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
