package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// few is how many lines of a kind are shown.
const few = 6

// manyNodes shows a cluster of fake servers: what it takes to ask all of them,
// and that neither a flood on one nor the death of another hurts the rest.
func manyNodes(ctx context.Context, cfg *Demo, out io.Writer) error {
	f := &fleet{printer: printer{out: out}, length: cfg.length}
	defer f.close()
	var nodes []ami.Node
	for n := range cfg.nodes {
		srv := amitest.NewServer(amitest.WithTCP(), amitest.WithCalls(cfg.rate), amitest.WithTimestamps(),
			amitest.WithoutLedger(), amitest.WithSeed(uint64(n+1)),
			amitest.WithWriteTimeout(5*time.Second)) // servers and cluster share a process: be patient with it
		f.servers = append(f.servers, srv)
		nodes = append(nodes, ami.Node{Key: fmt.Sprintf("pbx%d", n+1), Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")})
	}
	// The dead server comes back soon, so try often.
	cluster, err := ami.NewCluster(nodes, ami.WithBackoff(200*time.Millisecond, 400*time.Millisecond, 50*time.Millisecond),
		ami.WithBreaker(100, time.Second, 1))
	if err != nil {
		return err
	}
	f.cluster = cluster
	f.tally = newTally(slices.Collect(maps.Keys(cluster.States())))
	events := cluster.Subscribe()
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { _ = cluster.Close() }() // always nil
	running.Go(func() { _ = cluster.Run(context.WithoutCancel(ctx)) })

	if err := f.logins(ctx); err != nil {
		return f.unlessInterrupted(ctx, err)
	}
	if err := f.ask(ctx); err != nil {
		return f.unlessInterrupted(ctx, err)
	}
	f.watch(ctx, events)
	if ctx.Err() != nil {
		f.say("interrupted")
	}
	f.sum()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return cluster.Shutdown(stop)
}

// fleet is the cluster, its servers and what the demo shows of them.
type fleet struct {
	printer
	cluster *ami.Cluster
	servers []*amitest.Server
	length  time.Duration
	*tally
}

func (f *fleet) close() {
	for _, srv := range f.servers {
		srv.Close()
	}
}

func (f *fleet) unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	f.say("interrupted before the events")
	return nil
}

// logins waits for all nodes.
func (f *fleet) logins(ctx context.Context) error {
	start := time.Now()
	f.say("One ami.Cluster and %d fake Asterisk servers with calls:", len(f.servers))
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := f.cluster.Ready(ctx, 0); err != nil {
		return err
	}
	n := 0
	for key, c := range f.cluster.Nodes() {
		if n++; n > few {
			f.say("  and %d more", len(f.servers)-few)
			break
		}
		f.say("  %-5s  %-15s  %s  %s", key, f.servers[n-1].Addr(), c.Stats().Banner, f.role(n-1))
	}
	f.say("  all logged in after %s", ms(time.Since(start)))
	return nil
}

// ask sends the same to all nodes, and something to one.
func (f *fleet) ask(ctx context.Context) error {
	f.say("\nPing to all at once (Cluster.Broadcast), answered after:")
	var pings columns
	start := time.Now()
	for key, r := range f.cluster.Broadcast(ctx, action.Ping{}) {
		if r.Err != nil {
			return r.Err
		}
		pings = append(pings, fmt.Sprintf("%-5s %s", key, ms(time.Since(start))))
	}
	f.say("%s", pings)

	f.say("\nChannels of all (Cluster.Broadcast):")
	nodes, n := 0, 0
	show := action.CoreShowChannels{}
	for key, r := range f.cluster.Broadcast(ctx, show) {
		if r.Err != nil {
			return r.Err
		}
		channels := ami.Decode(show, r.Response)
		for _, c := range channels {
			if n++; n <= few {
				f.say("  %-5s  %-22s %-10s %s", key, c.Channel.Name, c.Channel.State, c.Application)
			}
		}
		nodes += min(len(channels), 1)
	}
	f.say("  %d channels on %d nodes, %d of them shown", n, nodes, min(n, few))

	const command = "core show version"
	r, err := ami.Call(ctx, f.cluster, action.Command{Command: command})
	if err != nil {
		return err
	}
	f.say("\n%s, sent to one of them (Cluster.Send) and answered by %s:", command, r.Node)
	for _, line := range r.Output {
		f.say("  %s", line)
	}
	return nil
}

// columns prints short texts side by side.
type columns []string

func (c columns) String() string {
	var lines []string
	for row := range slices.Chunk(c, few) {
		lines = append(lines, "  "+strings.Join(row, "   "))
	}
	return strings.Join(lines, "\n")
}
