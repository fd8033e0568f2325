package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
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
	app *app

	listen, user, secretFile, version string
	cert, key                         string
	nodes                             int
	calls                             float64
	flood                             int
	faults                            amitest.Faults
	dropEvery, downFor, length        time.Duration

	secret ami.Secret
	fakes  []*fakeNode
}

// A fakeNode is one server of a simulation.
type fakeNode struct {
	Node string `json:"node"`
	Addr string `json:"addr"`
	User string `json:"user"`

	relay relay
}

// simulateCommand is "ami simulate".
func (a *app) simulateCommand() *cobra.Command {
	s := &simulation{app: a}
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
	a.jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:5038", "`host:port` of the first server; the others have the ports behind it; port 0: any that are free")
	f.IntVar(&s.nodes, "nodes", 1, fmt.Sprintf("how many servers, 1 to %d", mostFakes))
	f.StringVar(&s.user, "user", "admin", "the user who may log in, with all privileges")
	f.StringVar(&s.secretFile, "secret-file", "", "`file` that holds the user's secret (default: it is \"secret\")")
	f.StringVar(&s.version, "asterisk", "22", "`version` to be: 18, 20, 22 or 23")
	f.StringVar(&s.cert, "cert", "", "speak TLS with the certificate in this PEM `file`")
	f.StringVar(&s.key, "key", "", "PEM `file` with the key of --cert")
	f.Float64Var(&s.calls, "calls", 1, "invented calls per second on each, 0 to 1000")
	f.IntVar(&s.flood, "flood", 0, "events per second besides, on each, 0 to 100000")
	f.DurationVar(&s.faults.AnswerDelay, "latency", 0, "answer each action so much later")
	f.DurationVar(&s.faults.BannerDelay, "banner-delay", 0, "greet so much later")
	f.DurationVar(&s.faults.LoginDelay, "login-delay", 0, "answer the login so much later")
	f.StringVar(&s.faults.LoginError, "login-error", "", "refuse each login with this `message`")
	f.IntVar(&s.faults.ResetOnAction, "reset-on", 0, "reset each connection at its `n-th` action")
	f.DurationVar(&s.dropEvery, "drop-every", 0, "drop all connections and refuse new ones, so often")
	f.DurationVar(&s.downFor, "down-for", 2*time.Second, "how long to refuse them")
	f.DurationVar(&s.length, "for", 0, "end after this time")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	_ = cmd.RegisterFlagCompletionFunc("asterisk", cobra.FixedCompletions([]string{"18", "20", "22", "23"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

// check refuses what makes no sense.
func (s *simulation) check() error {
	_, known := versions[s.version]
	switch f := s.faults; {
	case s.nodes < 1 || s.nodes > mostFakes:
		return wrong("--nodes must be 1 to %d", mostFakes)
	case s.user == "":
		return wrong("--user must not be empty")
	case !known:
		return wrong("--asterisk must be 18, 20, 22 or 23")
	case !(s.calls >= 0 && s.calls <= 1000): // NaN fails every comparison
		return wrong("--calls must be 0 to 1000")
	case s.flood < 0 || s.flood > 100_000:
		return wrong("--flood must be 0 to 100000")
	case min(f.AnswerDelay, f.BannerDelay, f.LoginDelay, s.dropEvery, s.downFor, s.length) < 0 || f.ResetOnAction < 0:
		return wrong("no time and no number may be negative")
	}
	return nil
}

// run serves until ctx ends.
func (s *simulation) run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	s.secret = ami.NewSecret("secret")
	if s.secretFile != "" {
		var err error
		if s.secret, err = ami.SecretFile(s.secretFile)(ctx); err != nil {
			return &configError{[]string{"--secret-file: " + err.Error()}}
		}
	}
	opts := []amitest.Option{
		amitest.WithUser(amitest.User{Name: s.user, Secret: s.secret.Reveal()}),
		amitest.WithVersion(versions[s.version][0], versions[s.version][1]),
		amitest.WithTimestamps(), amitest.WithoutLedger(), amitest.WithCalls(s.calls),
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return &configError{[]string{"--cert: " + err.Error()}}
		}
		opts = append(opts, amitest.WithCertificate(pair))
	}
	if s.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	defer func() {
		for _, f := range s.fakes {
			_ = f.relay.listener.Close() // it may be closed already
			f.relay.server.Close()
		}
	}()
	if err := s.start(ctx, opts); err != nil {
		return err
	}
	if err := s.print(); err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, f := range s.fakes {
		r := &f.relay
		all.Go(func() { r.serve(ctx) })
		all.Go(func() { s.misbehave(ctx, r.server) })
	}
	all.Wait()
	return nil
}

// start makes the servers.
func (s *simulation) start(ctx context.Context, opts []amitest.Option) error {
	host, portText, err := net.SplitHostPort(s.listen)
	port, bad := strconv.ParseUint(portText, 10, 16)
	if err != nil || bad != nil {
		return wrong("--listen %q must be host:port", s.listen)
	}
	for n := range s.nodes {
		p := 0
		if port > 0 {
			p = int(port) + n
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err != nil {
			return err
		}
		srv := amitest.NewServer(append(opts, amitest.WithSeed(uint64(n)+1))...)
		srv.SetFaults(s.faults)
		s.fakes = append(s.fakes, &fakeNode{
			Node: "sim" + strconv.Itoa(n+1), Addr: listener.Addr().String(), User: s.user,
			relay: relay{listener: listener, server: srv},
		})
	}
	return nil
}

// print prints a configuration for the servers.
func (s *simulation) print() error {
	out := s.app.out
	defer out.flush()
	if out.json {
		for _, f := range s.fakes {
			out.object(f)
		}
		return nil
	}
	secret := "secret"
	if s.secretFile != "" {
		file, err := filepath.Abs(s.secretFile)
		if err != nil {
			return err
		}
		secret = fmt.Sprintf("{file: %q}", file)
	}
	out.line("# %s, until Ctrl-C.", plural(s.nodes, "fake Asterisk server"))
	out.line("defaults:")
	out.line("  username: %q", s.user)
	out.line("  secret: %s", secret)
	if s.cert != "" {
		file, err := filepath.Abs(s.cert)
		if err != nil {
			return err
		}
		out.line("  tls: {ca: %q}", file)
	}
	out.line("nodes:")
	for _, f := range s.fakes {
		out.line("- {key: %s, addr: %q}", f.Node, f.Addr)
	}
	return nil
}

// misbehave floods and drops until ctx ends.
func (s *simulation) misbehave(ctx context.Context, srv *amitest.Server) {
	var flood sync.WaitGroup
	defer flood.Wait()
	if s.flood > 0 {
		flood.Go(func() { _ = srv.Flood(ctx, s.flood, math.MaxInt) }) // the end of ctx
	}
	for s.dropEvery > 0 && pause(ctx, s.dropEvery) {
		srv.Drop()
		if !pause(ctx, s.downFor) {
			return
		}
		if err := srv.Start(0); err != nil {
			return // it was closed
		}
	}
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
