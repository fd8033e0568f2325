// Command collector counts the events of many Asterisk servers. It does nothing
// but range over them: what was lost and who was away comes in the same stream.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/examples/internal/nodes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		os.Exit(1)
	}
}

// run collects until ctx ends or the time is up.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := nodes.New("collector")
	if err := flags.Parse(args); err != nil {
		return err
	}
	list, stop := flags.Start(amitest.WithCalls(5))
	defer stop()
	cluster, err := ami.NewCluster(list)
	if err != nil {
		return err
	}
	events := cluster.Events() // before Run: nothing is missed
	ctx, cancel := context.WithTimeout(ctx, flags.Length)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return cluster.Run(ctx) })

	counts := collect(events, out)
	err = g.Wait()
	report(cluster, counts, out)
	return err
}

// count is what one node has sent.
type count struct{ events, calls, hangups, gaps int }

// collect counts until the library closes the channel, which it does when Run
// ends.
func collect(events <-chan event.Event, out io.Writer) map[string]*count {
	counts := map[string]*count{}
	for e := range events {
		if e.Lost > 0 {
			// They may have been of any node: the buffer is that of all.
			fmt.Fprintf(out, "too slow: %d events were dropped before this one\n", e.Lost)
		}
		n := counts[e.Node]
		if n == nil {
			n = new(count)
			counts[e.Node] = n
		}
		if gap, ok := e.Gap(); ok {
			n.gaps++
			fmt.Fprintf(out, "%s: away for %v, its figures are too low: %v\n", e.Node, gap.Down.Round(time.Millisecond), gap.Reason)
			continue
		}
		n.events++
		switch e.Name() {
		case "DialBegin":
			n.calls++
		case "Hangup":
			n.hangups++
		}
	}
	return counts
}

// report prints the figures, and what a node says that never came up.
func report(cluster *ami.Cluster, counts map[string]*count, out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "node\tevents\tcalls dialled\tchannels hung up\tgaps\t")
	for key := range cluster.Nodes() {
		n := counts[key]
		if n == nil {
			n = new(count)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\n", key, n.events, n.calls, n.hangups, n.gaps)
	}
	_ = t.Flush() // nobody is left to tell
	for key, c := range cluster.Nodes() {
		if s := c.Stats(); s.Connects == 0 {
			fmt.Fprintf(out, "%s was never connected: %v\n", key, s.Reason)
		}
	}
}
