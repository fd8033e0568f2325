package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
)

// How often "ami top" may look.
const (
	leastInterval = 100 * time.Millisecond
	mostInterval  = time.Hour
)

// A topping is one call of "ami top".
type topping struct {
	app      *app
	interval time.Duration
	once     bool
}

// topCommand is "ami top".
func (a *app) topCommand() *cobra.Command {
	t := &topping{app: a}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch all nodes live on a full screen",
		Long: `Shows all nodes, or those that --node names, live on a full screen: state,
events per second, channels, drops, latency and more, as many columns as there is
room for. The key ? shows what the keys do. It runs until it is told to end (q,
Ctrl-C) and reconnects for ever; a node that is down is a row like the others.

It logs in by itself: queue, drops and pending actions are those of its own
connections. Every 5 s it sends each node a Ping; it asks for the version and the
channels at the login, for the channels once more a minute or when events are
missing, and for the privileges of a node whose details are looked at. What its
user may not ask for is a dash.

With --once it prints one table, an interval after all nodes have been tried, and
with --json an object for each node and interval. Neither needs a terminal.`,
		Example: `  ami top
  ami top --node pbx1,pbx2 --interval 5s
  ami top --once
  ami top --json --interval 10s | jq -c 'select(.dropping)'`,
		Args: cobra.NoArgs,
	}
	a.nodeFlags(cmd)
	a.jsonFlag(cmd)
	f := cmd.Flags()
	f.DurationVar(&t.interval, "interval", time.Second, "how often to look, 100ms to 1h")
	f.BoolVar(&t.once, "once", false, "print one table after one interval, and end")
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error { return t.run(cmd.Context()) })
	return cmd
}

// check refuses what makes no sense.
func (t *topping) check() error {
	switch {
	case t.interval < leastInterval || t.interval > mostInterval:
		return wrong("--interval must be 100ms to 1h")
	case !t.once && !t.app.out.json && t.app.out.terminal == nil:
		return wrong("there is no terminal to draw on: give --once for one table, or --json for objects")
	}
	return nil
}

// run shows the nodes until ctx ends.
func (t *topping) run(ctx context.Context) error {
	if err := t.check(); err != nil {
		return err
	}
	c, err := t.app.chosen(ctx)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal is gone: log off
	defer stop()
	var w *topWatch
	s, err := connect(ctx, c, "", func(cluster *ami.Cluster) {
		w = newTopWatch(cluster)
		w.start(ctx)
	})
	if err != nil {
		return err
	}
	defer s.close()
	defer w.close()
	shown := make(chan error, 1)
	go func() { shown <- t.show(ctx, s, w) }()
	select {
	case err = <-shown:
		return err
	case <-ctx.Done():
	}
	select {
	case err = <-shown:
		return err
	case <-time.After(outputPatience): // it stays in a write that the end of the process ends
		t.app.out.abandon()
		t.app.say("ami top: the output takes nothing")
		return nil
	}
}

// show shows the nodes in the form that was asked for.
func (t *topping) show(ctx context.Context, s *site, w *topWatch) error {
	switch {
	case t.once:
		return t.showOnce(ctx, s, w)
	case t.app.out.json:
		return t.report(ctx, w.sample)
	}
	screen := &topScreen{
		board: newBoard(), canvas: canvas{paint: t.app.out.paint},
		interval: t.interval, sample: w.sample, look: w.look,
	}
	return screen.draw(ctx, t.app.out.terminal)
}

// showOnce prints how the nodes are after an interval.
func (t *topping) showOnce(ctx context.Context, s *site, w *topWatch) error {
	for _, key := range s.keys {
		_, _ = s.up(ctx, key) // a node that is down is shown as such
	}
	b := newBoard()
	b.take(w.sample(), time.Now())
	if !pause(ctx, t.interval) {
		return context.Cause(ctx)
	}
	b.take(w.sample(), time.Now())
	if t.app.out.json {
		t.app.out.board(b)
		return nil
	}
	var titles []string
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	rows, looks := [][]string{titles}, [][]style{nil}
	for _, r := range b.rows {
		var texts []string
		var look []style
		for _, c := range columns {
			cell, s := c.text(b, r)
			texts, look = append(texts, cell), append(look, s)
		}
		rows, looks = append(rows, texts), append(looks, look)
	}
	t.app.out.table(rows, func(row, column int, _ string) style {
		if row == 0 {
			return faint
		}
		return looks[row][column]
	})
	return nil
}

// report prints how the nodes are, once an interval, until ctx ends.
func (t *topping) report(ctx context.Context, sample func() []nodeSample) error {
	b := newBoard()
	b.take(sample(), time.Now())
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.take(sample(), time.Now())
			t.app.out.board(b)
			t.app.out.flush()
		case <-ctx.Done():
			return nil
		}
	}
}

// A topObject is a node of "ami top" as JSON.
type topObject struct {
	Node       string    `json:"node"`
	Time       time.Time `json:"time"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	Reason     string    `json:"reason,omitempty"` // of a node that is down
	Epoch      uint64    `json:"epoch"`
	Reconnects uint64    `json:"reconnects"`
	Events     float64   `json:"events_per_s"`
	Queue      int       `json:"queue"`
	Drops      uint64    `json:"drops"`
	Dropping   bool      `json:"dropping"`
	Pending    int       `json:"pending"`
	Latency    float64   `json:"latency_ms,omitempty"` // not known: no field
	Channels   *int      `json:"channels,omitempty"`
	Asterisk   string    `json:"asterisk,omitempty"`
}

// board prints the nodes of a board as JSON.
func (o *output) board(b *board) {
	for _, r := range b.rows {
		j := topObject{
			Node: r.key, Time: b.at, State: r.stats.State.String(), Since: r.stats.Since, Reason: r.reason(),
			Epoch: r.stats.Epoch, Reconnects: r.reconnects(), Events: r.events.value, Queue: r.stats.Queued,
			Drops: r.dropped(), Dropping: b.dropping(r), Pending: r.stats.Pending,
			Latency: millis(r.latency), Asterisk: r.version,
		}
		if r.channels >= 0 {
			j.Channels = &r.channels
		}
		o.object(j)
	}
}
