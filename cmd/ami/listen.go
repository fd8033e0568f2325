package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/config"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// A listening is one call of "ami listen".
type listening struct {
	app *app
	log *slog.Logger

	events, where, headers []string
	buffer, count          int
	length                 time.Duration

	cluster  *ami.Cluster
	reloader *config.Reloader
	printed  int // events; the printing goroutine's
	gaps     int
}

// How long the end of a command waits: for an output that is stuck, and for
// nodes to finish and log off.
const (
	outputPatience = 2 * time.Second
	logoffPatience = 5 * time.Second
	reloadPatience = 10 * time.Second // for a configuration that comes through a pipe
)

// listenCommand is "ami listen".
func (a *app) listenCommand() *cobra.Command {
	l := &listening{app: a}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Show events as they come",
		Long: `Shows the events of all nodes, or of those that --node names, as they come: a
line of text each, a JSON object with --json, or only the values of chosen
headers, with tabs between them, with --headers. It runs until it is told to end
and reconnects for ever.

Lines that start with # are no events: they tell of a gap, when a node was away
and events may be missing, and of events lost because the output was too slow.
A slow or stopped output never holds up a node: up to --buffer events wait for
it, then the oldest are dropped and counted.

--where tests a header: Header=Value, Header!=Value, Header~Regexp, Header!~Regexp;
several must all hold.

On SIGHUP it reads the configuration again: nodes come, go and change without a
touch of the others. A file that is wrong is reported, and the old one stays.`,
		Example: `  ami listen
  ami listen --event Hangup --node pbx1 --where Cause=17
  ami listen --event Newchannel,Hangup --headers Event,Channel,Cause
  ami listen --where 'Channel~^PJSIP/2001-' --json | jq -r .event
  kill -HUP $(pidof ami)                 after a change of the configuration`,
		Args: cobra.NoArgs,
	}
	a.nodeFlags(cmd)
	a.jsonFlag(cmd)
	f := cmd.Flags()
	f.StringSliceVarP(&l.events, "event", "e", nil, "only events of this `name`; may be repeated")
	f.StringArrayVarP(&l.where, "where", "w", nil, "only events that fulfil this `condition`; may be repeated")
	f.StringSliceVar(&l.headers, "headers", nil, "print the values of these headers only: `name,name`")
	f.IntVar(&l.buffer, "buffer", 10_000, "how many events may wait for the output, 2 to 1000000")
	f.IntVar(&l.count, "count", 0, "end after so many events")
	f.DurationVar(&l.length, "for", 0, "end after this time")
	level := logFlag(cmd)
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context(), level) })
	return cmd
}

// run listens until ctx ends.
func (l *listening) run(ctx context.Context, level slog.Leveler) error {
	filters, err := l.filters()
	if err != nil {
		return err
	}
	c, err := l.app.chosen(ctx)
	if err != nil {
		return err
	}
	log, end, err := l.app.log(level)
	if err != nil {
		return err
	}
	defer end()
	l.log = log
	for _, name := range l.events {
		if !knownEvent(name) {
			log.Warn("no Asterisk from 18 to 23 has this event; waiting for it all the same", "event", name)
		}
	}
	if l.cluster, err = ami.NewCluster(c.Nodes(), append(c.Options(), ami.WithLogger(log))...); err != nil {
		return err
	}
	l.reloader = config.NewReloader(l.cluster, c)
	if l.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.length)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l.listen(ctx, stop, filters)
	return nil
}

// filters makes the options of the subscription.
func (l *listening) filters() ([]ami.SubOption, error) {
	switch {
	case l.buffer < 2 || l.buffer > 1_000_000:
		return nil, wrong("--buffer must be 2 to 1000000")
	case l.count < 0:
		return nil, wrong("--count must not be negative")
	case l.length < 0:
		return nil, wrong("--for must not be negative")
	}
	conditions, err := parseConditions(l.where)
	if err != nil {
		return nil, err
	}
	filters := []ami.SubOption{ami.Named(l.events...), ami.Buffer(l.buffer)}
	if len(conditions) > 0 {
		filters = append(filters, ami.Where(allHold(conditions)))
	}
	return filters, nil
}

// listen runs all parts until ctx ends, and ends them in order.
func (l *listening) listen(ctx context.Context, stop func(), filters []ami.SubOption) {
	hangup := make(chan os.Signal, 1) // one more is as good as many
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	events := l.cluster.Subscribe(filters...) // before Run: nothing is missed
	var parts sync.WaitGroup
	parts.Go(func() { _ = l.cluster.Run(context.WithoutCancel(ctx)) }) // nil: it runs once, until Close
	parts.Go(func() { l.reloads(ctx, hangup) })
	printing := make(chan struct{})
	go func() {
		defer close(printing)
		defer stop() // the count was reached, or nobody takes the output any more
		l.print(ctx, events.C())
	}()
	<-ctx.Done()
	events.Close()
	select {
	case <-printing:
		l.log.Info("stopped", "printed", l.printed, "gaps", l.gaps, "lost", events.Dropped())
	case <-time.After(outputPatience): // it stays in a write that the end of the process ends
		l.app.out.abandon()
		l.log.Warn("stopped: the output takes nothing", "lost", events.Dropped())
	}
	calm, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoffPatience)
	defer cancel()
	_ = l.cluster.Shutdown(calm) // there are no answers to wait for
	parts.Wait()
}

// print prints until ctx or the channel ends. What is printed goes out as soon as
// there is nothing more to print.
func (l *listening) print(ctx context.Context, events <-chan event.Event) {
	p := &eventPrinter{out: l.app.out, only: l.headers}
	for {
		var e event.Event
		var ok bool
		select {
		case e, ok = <-events:
		default:
			l.app.out.flush()
			select {
			case e, ok = <-events:
			case <-ctx.Done():
			}
		}
		if !ok || ctx.Err() != nil {
			l.app.out.flush()
			return
		}
		p.print(e)
		if _, gap := e.Gap(); gap {
			l.gaps++
			continue
		}
		if l.printed++; l.printed == l.count {
			l.app.out.flush()
			return
		}
	}
}

// knownEvent reports whether the library has a type for events of this name.
func knownEvent(name string) bool {
	f, err := frame.Parse("Event: " + name + "\r\n\r\n")
	if err != nil || strings.TrimSpace(name) == "" {
		return false
	}
	_, plain := event.Decode(event.Event{Frame: f}).(event.Event)
	return !plain
}

// reloads reads the configuration again at each SIGHUP until ctx ends.
func (l *listening) reloads(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-hangup:
			l.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the configuration again and applies it.
func (l *listening) reload(ctx context.Context) {
	reading, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	next, err := l.next(reading)
	if errors.Is(err, context.Canceled) {
		return // the command ends
	}
	if err != nil {
		lines := []string{err.Error()}
		if e, ok := errors.AsType[*configError](err); ok {
			lines = e.lines
		}
		for _, line := range lines {
			l.log.Error("new configuration is wrong, the old one stays", "error", line)
		}
		return
	}
	ctx, cancel = context.WithTimeout(ctx, logoffPatience)
	defer cancel()
	changes, err := l.reloader.Apply(ctx, next)
	l.log.Info("new configuration applied", "added", changes.Added, "removed", changes.Removed, "replaced", changes.Replaced, "kept", changes.Kept)
	if err != nil {
		l.log.Warn("not all of the new configuration could be applied", "error", err)
	}
}

// next is the configuration as it stands now, with the nodes of --node that it
// still has.
func (l *listening) next(ctx context.Context) (*config.Config, error) {
	next, err := l.app.target.load(ctx, func(f finding) { l.log.Warn("doubtful configuration", "warning", f.String()) })
	if err != nil || len(l.app.choice.keys) == 0 {
		return next, err
	}
	return next.Only(l.app.choice.keys...), nil
}
