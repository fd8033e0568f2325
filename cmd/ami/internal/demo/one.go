package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
)

// oneNode shows a login, a few actions, the event stream and, on the fake
// Asterisk, what a lost connection looks like.
func oneNode(ctx context.Context, cfg *Demo, out io.Writer) error {
	d := &demonstration{printer: printer{out: out}}
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
	printer

	client   *ami.Client
	server   *amitest.Server // nil with a real server
	shown    int             // events
	gaps     int
	answered int
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
	if _, err := ami.Call(ctx, d.client, action.Ping{}); err != nil {
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
	r, err := ami.Call(ctx, d.client, action.Command{Command: command})
	if err != nil {
		return d.refused(err)
	}
	d.answered++
	for _, line := range r.Output {
		d.say("  %s", line)
	}
	return nil
}

func (d *demonstration) channels(ctx context.Context) error {
	channels, err := ami.Call(ctx, d.client, action.CoreShowChannels{})
	if err != nil {
		return d.refused(err)
	}
	for _, c := range channels {
		d.say("  %-32s %-10s %s", c.Channel.Name, c.Channel.State, c.Application)
	}
	d.answered++
	d.say("  %d in all", len(channels))
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
	d.say("%s %s %s", at, e.Node, brief(e))
}

func (d *demonstration) showState(c ami.StateChange) {
	why := ""
	if c.Reason != nil {
		why = ": " + c.Reason.Error()
	}
	d.say("%s %s -- %s -> %s%s", clock(c.At), c.Node, c.From, c.To, why)
}
