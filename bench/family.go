package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami"
)

// A Result is what one measurement gave, per unit of work where that makes sense.
type Result struct {
	Wall, CPU time.Duration // for one unit
	Allocs    float64       // for one unit
	P50, P99  time.Duration // of single operations
	Kept      int           // lines of a Command, events that arrived
	Lost      int           // replies that did not come, or events
	Bytes     float64       // memory of one session
}

// A Family is one kind of work.
type Family struct {
	Name    string
	Title   string
	Server  serverConfig
	Only    func(Library) bool // nil: all
	Measure func(ctx context.Context, l Library, addr string) (Result, error)
}

const (
	floodEvents = 500_000
	parseEvents = 20_000
)

// amounts are how much of each work is done: as much as makes good figures, and less
// where a test looks for what comes out of it.
var amounts = struct{ laps, warm, pings, commands int }{laps: 5, warm: 200, pings: 5000, commands: 10}

func families() []Family {
	dials := func(l Library) bool { return l.Name != "ami (action lane)" }
	noTyped := func(l Library) bool {
		return l.Name != "ami (typed)" && l.Name != "ami (action lane)" && (!l.Bound || strings.HasPrefix(l.Name, "raw"))
	}
	commands := func(l Library) bool { return noTyped(l) || l.Name == cuts }
	floods := func(l Library) bool { return l.Name != "ami (typed)" && !l.Bound }
	own := func(l Library) bool { return l.Name == "ami" }
	return []Family{
		{Name: "parse", Title: "Parsing alone: " + fmt.Sprint(parseEvents) + " events of 422 bytes in memory", Only: func(l Library) bool { return l.Parse != nil }, Measure: parse},
		{Name: "events", Title: "Events end to end: " + fmt.Sprint(floodEvents) + " of 422 bytes over loopback into a handler that reads one header", Server: serverConfig{flood: floodEvents}, Only: dials, Measure: events},
		{Name: "ping1", Title: "Ping, one caller", Only: noTyped, Measure: ping},
		{Name: "ping64", Title: "Ping, 64 callers", Only: noTyped, Measure: pings},
		{Name: "command", Title: "A Command with 20,000 lines of output, 1.4 MB", Only: commands, Measure: command},
		{Name: "idle", Title: "An idle session: heap and stacks of the client, of 1,000 nodes of one cluster (ami) or 200 connections", Only: func(l Library) bool { return noTyped(l) && !l.Bound }, Measure: idle},
		{Name: "idletls", Title: "The same over TLS", Server: serverConfig{tls: true}, Only: own, Measure: idleTLS},
		{Name: "nodes1", Title: "Events of a cluster with 1 node", Server: serverConfig{flood: floodEvents}, Only: own, Measure: nodes(1)},
		{Name: "nodes10", Title: "With 10 nodes, as many in all", Server: serverConfig{flood: floodEvents / 10}, Only: own, Measure: nodes(10)},
		{Name: "nodes100", Title: "With 100 nodes, as many in all", Server: serverConfig{flood: floodEvents / 100}, Only: own, Measure: nodes(100)},
		{Name: "slow", Title: "50,000 events/s into a handler that sleeps 0.2 ms, and 20 Pings meanwhile", Server: serverConfig{rate: 50_000, end: 4 * time.Second}, Only: floods, Measure: slow},
	}
}

func parse(_ context.Context, l Library, _ string) (Result, error) {
	stream := []byte(strings.Repeat(eventText(), parseEvents))
	l.Parse(stream[:len(stream)/20]) // warm
	m := begin()
	for range amounts.laps {
		if n := l.Parse(stream); n != parseEvents {
			return Result{}, fmt.Errorf("%d of %d messages", n, parseEvents)
		}
	}
	return m.end(amounts.laps * parseEvents), nil
}

// reader is a Session whose user has to read the events itself.
type reader interface{ Events(n int) error }

func events(ctx context.Context, l Library, addr string) (Result, error) {
	var got atomic.Int64
	done := make(chan struct{})
	s, err := l.Dial(ctx, addr, func(string) {
		if got.Add(1) == floodEvents {
			close(done)
		}
	})
	if err != nil {
		return Result{}, err
	}
	m := begin()
	if err := s.Ping(ctx); err != nil {
		return Result{}, err
	}
	if r, ok := s.(reader); ok {
		if err := r.Events(floodEvents); err != nil {
			return Result{}, err
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%d of %d events came", got.Load(), floodEvents)
	}
	return m.end(floodEvents), nil
}

func ping(ctx context.Context, l Library, addr string) (Result, error) {
	s, err := l.Dial(ctx, addr, func(string) {})
	if err != nil {
		return Result{}, err
	}
	n := amounts.pings
	for range amounts.warm {
		if err := s.Ping(ctx); err != nil {
			return Result{}, err
		}
	}
	took := make([]time.Duration, 0, n)
	m := begin()
	for range n {
		start := time.Now()
		if err := s.Ping(ctx); err != nil {
			return Result{}, err
		}
		took = append(took, time.Since(start))
	}
	r := m.end(n)
	r.P50, r.P99 = quantile(took, 0.5), quantile(took, 0.99)
	return r, nil
}

func pings(ctx context.Context, l Library, addr string) (Result, error) {
	s, err := l.Dial(ctx, addr, func(string) {})
	if err != nil {
		return Result{}, err
	}
	const callers, each = 64, 500
	if b, ok := s.(*boundSession); ok {
		b.Many(callers)
	}
	errs := make(chan error, callers)
	var running sync.WaitGroup
	m := begin()
	for range callers {
		running.Go(func() {
			for range each {
				if err := s.Ping(ctx); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	running.Wait()
	r := m.end(callers * each)
	select {
	case err := <-errs:
		return Result{}, err
	default:
		return r, nil
	}
}

func command(ctx context.Context, l Library, addr string) (Result, error) {
	s, err := l.Dial(ctx, addr, func(string) {})
	if err != nil {
		return Result{}, err
	}
	if _, err := s.Command(ctx); err != nil { // warm
		return Result{}, err
	}
	n := amounts.commands
	kept := 0
	m := begin()
	for range n {
		if kept, err = s.Command(ctx); err != nil {
			return Result{}, err
		}
	}
	r := m.end(n)
	r.Kept = kept
	return r, nil
}

func idle(ctx context.Context, l Library, addr string) (Result, error) {
	if l.Name == "ami" { // that is what a Cluster is for
		return idleNodes(ctx, addr, 1000, nil)
	}
	const sessions = 200
	before := memory()
	for range sessions {
		if _, err := l.Dial(ctx, addr, func(string) {}); err != nil {
			return Result{}, err
		}
	}
	return Result{Bytes: float64(memory()-before) / float64(sessions)}, nil
}

// idleNodes measures sessions of one cluster, with a subscription.
func idleNodes(ctx context.Context, addr string, n int, secure *tls.Config) (Result, error) {
	before := memory()
	list := make([]ami.Node, n)
	for i := range list {
		list[i] = ami.Node{Key: fmt.Sprint("pbx", i), Addr: addr, Username: "user", Secret: ami.NewSecret("secret"), TLS: secure}
	}
	cluster, err := ami.NewCluster(list)
	if err != nil {
		return Result{}, err
	}
	cluster.Subscribe()
	go func() { _ = cluster.Run(ctx) }()
	if err := cluster.Ready(ctx, 0); err != nil {
		return Result{}, err
	}
	return Result{Bytes: float64(memory()-before) / float64(n)}, nil
}

func idleTLS(ctx context.Context, _ Library, addr string) (Result, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	secure.InsecureSkipVerify = true // the certificate is of this run's server
	return idleNodes(ctx, addr, 1000, secure)
}

// nodes has each of n nodes send its share of the events.
func nodes(n int) func(context.Context, Library, string) (Result, error) {
	return func(ctx context.Context, _ Library, addr string) (Result, error) {
		list := make([]ami.Node, n)
		for i := range list {
			list[i] = ami.Node{Key: fmt.Sprint("pbx", i), Addr: addr, Username: "user", Secret: ami.NewSecret("secret")}
		}
		cluster, err := ami.NewCluster(list, ami.WithEventQueue(1_000_000))
		if err != nil {
			return Result{}, err
		}
		sub := cluster.Subscribe(ami.Named(eventName), ami.Buffer(1_000_000))
		go func() { _ = cluster.Run(ctx) }()
		if err := cluster.Ready(ctx, 0); err != nil {
			return Result{}, err
		}
		s, _ := cluster.Node("pbx0")
		m := begin()
		if err := (&ourSession{client: s}).Ping(ctx); err != nil {
			return Result{}, err
		}
		last := map[string]uint64{}
		for got := range floodEvents {
			select {
			case e := <-sub.C():
				if e.Seq <= last[e.Node] {
					return Result{}, errors.New("out of order")
				}
				last[e.Node] = e.Seq
			case <-ctx.Done():
				return Result{}, fmt.Errorf("%d of %d events came", got, floodEvents)
			}
		}
		return m.end(floodEvents), nil
	}
}

func slow(ctx context.Context, l Library, addr string) (Result, error) {
	var handled atomic.Int64
	s, err := l.Dial(ctx, addr, func(string) {
		handled.Add(1)
		time.Sleep(200 * time.Microsecond)
	})
	if err != nil {
		return Result{}, err
	}
	if err := s.Ping(ctx); err != nil { // sets the flood off
		return Result{}, err
	}
	if _, ok := s.(reader); ok {
		return Result{}, errors.New("cannot send while it reads")
	}
	// Nobody waits for the Ping before: a library that answers none takes no
	// longer than one that answers all.
	const n, every = 20, 100 * time.Millisecond
	took := make([]time.Duration, n)
	var lost atomic.Int64
	var asking sync.WaitGroup
	for i := range n {
		asking.Go(func() {
			var ok bool
			if took[i], ok = pingBy(ctx, s, time.Second); !ok {
				lost.Add(1)
			}
		})
		time.Sleep(every)
	}
	asking.Wait()
	return Result{P50: quantile(took, 0.5), P99: quantile(took, 0.99), Kept: int(handled.Load()), Lost: int(lost.Load())}, nil
}

// pingBy returns how long a Ping took, or limit and false if it failed or was not
// answered by then. Not every library stops waiting when it is told to.
func pingBy(ctx context.Context, s Session, limit time.Duration) (took time.Duration, ok bool) {
	answered := make(chan error, 1)
	start := time.Now()
	go func() { answered <- s.Ping(ctx) }()
	select {
	case err := <-answered:
		if err == nil {
			return time.Since(start), true
		}
	case <-time.After(limit):
	}
	return limit, false
}

// quantile sorts took.
func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[min(int(float64(len(took))*q), len(took)-1)]
}

// memory is what heap and stacks take after a collection.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
