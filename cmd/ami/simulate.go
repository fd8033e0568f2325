package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami/amitest"
)

// mostFakes is how many servers one "ami simulate" starts at most.
const mostFakes = 100

// versions are those that can be simulated: of the interface and of Asterisk.
var versions = map[string][2]string{
	"18": {"7.0.3", "18.26.4"}, "20": {"9.0.0", "20.20.1"}, "22": {"11.0.0", "22.10.1"}, "23": {"12.0.0", "23.4.1"},
}

// A simulation is one call of "ami simulate".
type simulation struct {
	fleet

	version            string
	nodes              int
	calls              float64
	flood              int
	faults             amitest.Faults
	dropEvery, downFor time.Duration
}

// simulateCommand is "ami simulate".
func (a *app) simulateCommand() *cobra.Command {
	s := &simulation{fleet: fleet{app: a}}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Be fake Asterisk servers to develop against",
		Long: `Runs fake Asterisk servers with living calls until it is told to end. They answer
some forty actions with Asterisk's own texts, keep channels, queues and a
database, and do what real ones do on a bad day: late answers, floods, lost
connections.

What it prints is a configuration file for them. The secret is "secret" unless
--secret-file holds another.`,
		Example: `  ami simulate > ami.yaml &
  ami simulate --nodes 3 --listen 127.0.0.1:5038 --calls 10
  ami simulate --latency 200ms --drop-every 30s --down-for 5s
  ami simulate --login-error "Authentication failed"`,
		Args: cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) }),
	}
	s.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:5038", "`host:port` of the first server; the others have the ports behind it; port 0: any that are free")
	f.IntVar(&s.nodes, "nodes", 1, fmt.Sprintf("how many servers, 1 to %d", mostFakes))
	f.StringVar(&s.version, "asterisk", "22", "`version` to be: 18, 20, 22 or 23")
	f.Float64Var(&s.calls, "calls", 1, "invented calls per second on each, 0 to 1000")
	f.IntVar(&s.flood, "flood", 0, "events per second besides, on each, 0 to 100000")
	f.DurationVar(&s.faults.AnswerDelay, "latency", 0, "answer each action so much later")
	f.DurationVar(&s.faults.BannerDelay, "banner-delay", 0, "greet so much later")
	f.DurationVar(&s.faults.LoginDelay, "login-delay", 0, "answer the login so much later")
	f.StringVar(&s.faults.LoginError, "login-error", "", "refuse each login with this `message`")
	f.IntVar(&s.faults.ResetOnAction, "reset-on", 0, "reset each connection at its `n-th` action")
	f.DurationVar(&s.dropEvery, "drop-every", 0, "drop all connections and refuse new ones, so often")
	f.DurationVar(&s.downFor, "down-for", 2*time.Second, "how long to refuse them")
	_ = cmd.RegisterFlagCompletionFunc("asterisk", cobra.FixedCompletions([]string{"18", "20", "22", "23"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

// check refuses what makes no sense.
func (s *simulation) check() error {
	_, known := versions[s.version]
	switch f := s.faults; {
	case s.nodes < 1 || s.nodes > mostFakes:
		return wrong("--nodes must be 1 to %d", mostFakes)
	case !known:
		return wrong("--asterisk must be 18, 20, 22 or 23")
	case !(s.calls >= 0 && s.calls <= 1000): // NaN fails every comparison
		return wrong("--calls must be 0 to 1000")
	case s.flood < 0 || s.flood > 100_000:
		return wrong("--flood must be 0 to 100000")
	case min(f.AnswerDelay, f.BannerDelay, f.LoginDelay, s.dropEvery, s.downFor) < 0 || f.ResetOnAction < 0:
		return wrong("no time and no number may be negative")
	}
	return s.fleet.check()
}

// run serves until ctx ends.
func (s *simulation) run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	opts, err := s.options(ctx)
	if err != nil {
		return err
	}
	opts = append(
		opts, amitest.WithVersion(versions[s.version][0], versions[s.version][1]),
		amitest.WithTimestamps(), amitest.WithCalls(s.calls),
	)
	if s.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	defer s.close()
	var keys []string
	for n := range s.nodes {
		keys = append(keys, "sim"+strconv.Itoa(n+1))
	}
	err = s.start(ctx, keys, func(n int) *amitest.Server {
		srv := amitest.NewServer(append(slices.Clip(opts), amitest.WithSeed(uint64(n)+1))...)
		srv.SetFaults(s.faults)
		return srv
	})
	if err != nil {
		return err
	}
	if err := s.print(plural(s.nodes, "fake Asterisk server") + ", until Ctrl-C."); err != nil {
		return err
	}
	return s.serve(ctx, s.misbehave)
}

// misbehave floods and drops until ctx ends.
func (s *simulation) misbehave(ctx context.Context, srv *amitest.Server) error {
	var flood sync.WaitGroup
	defer flood.Wait()
	if s.flood > 0 {
		flood.Go(func() { _ = srv.Flood(ctx, s.flood, math.MaxInt) }) // the end of ctx
	}
	for s.dropEvery > 0 && pause(ctx, s.dropEvery) {
		srv.Drop()
		if !pause(ctx, s.downFor) {
			return nil
		}
		if err := srv.Start(0); err != nil {
			return err
		}
	}
	return nil
}

// pause reports whether the time has passed before the end of ctx.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
