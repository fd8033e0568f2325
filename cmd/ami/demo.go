package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/apn/ami"
)

// mostNodes is how many fake servers one demo starts at most.
const mostNodes = 50

// demoConfig is what the flags of "ami demo" set.
type demoConfig struct {
	length time.Duration
	nodes  int
	rate   float64 // calls per second on each fake Asterisk
	addr   string  // of a real server; empty: fake ones
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
	f.IntVar(&c.nodes, "nodes", 3, fmt.Sprintf("how many fake Asterisk servers, 1 to %d; from 3 on one of them floods", mostNodes))
	f.Float64Var(&c.rate, "rate", 2, "calls per second on each fake Asterisk")
	f.StringVar(&c.addr, "addr", "", "host:port of one real server instead of the fake ones")
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
	nodesGiven := false
	f.Visit(func(g *flag.Flag) { nodesGiven = nodesGiven || g.Name == "nodes" })
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case c.length <= 0:
		return c, errors.New("--for must be positive")
	case !(c.rate > 0 && c.rate <= 1000): // NaN fails every comparison
		return c, errors.New("--rate must be above 0 and at most 1000")
	case c.addr != "" && nodesGiven:
		return c, errors.New("--nodes starts fake servers and --addr uses a real one: give one of the two")
	case c.nodes < 1 || c.nodes > mostNodes:
		return c, fmt.Errorf("--nodes must be 1 to %d", mostNodes)
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

// demo shows the library at work. The end of ctx is a clean end.
func demo(ctx context.Context, cfg demoConfig, out io.Writer) error {
	if cfg.addr != "" || cfg.nodes == 1 {
		return oneNode(ctx, cfg, out)
	}
	return manyNodes(ctx, cfg, out)
}
