// Package demo is "ami demo": it shows the library at work, on fake Asterisk
// servers or on a real one.
package demo

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

// A Demo is what the flags of "ami demo" set.
type Demo struct {
	*flag.FlagSet

	JSON bool // whoever calls Run makes objects of its lines

	length     time.Duration
	nodes      int
	rate       float64 // calls per second on each fake Asterisk
	addr       string  // of a real server; empty: fake ones
	user       string
	secretFile string
	secret     ami.Secret
	tls        bool
}

// New returns a Demo with its defaults.
func New() *Demo {
	d := &Demo{FlagSet: flag.NewFlagSet("ami demo", flag.ContinueOnError)}
	d.SetOutput(io.Discard) // the flag package would print the whole help for every slip
	d.DurationVar(&d.length, "for", 10*time.Second, "how long to watch events")
	d.IntVar(&d.nodes, "nodes", 3, fmt.Sprintf("how many fake Asterisk servers, 1 to %d; from 3 on one of them floods", mostNodes))
	d.Float64Var(&d.rate, "rate", 2, "calls per second on each fake Asterisk")
	d.StringVar(&d.addr, "addr", "", "`host:port` of one real server instead of the fake ones")
	d.StringVar(&d.user, "user", "", "user of that server's manager.conf")
	d.StringVar(&d.secretFile, "secret-file", "", "`file` that holds the user's secret")
	d.BoolVar(&d.JSON, "json", false, "print JSON, one object in a line, with what is told as its text")
	d.BoolVar(&d.tls, "tls", false, "connect to that server with TLS")
	return d
}

// Parse reads the flags. It prints nothing: the error is one sentence, or
// flag.ErrHelp.
func (d *Demo) Parse(args []string) error {
	if err := d.FlagSet.Parse(args); err != nil {
		return err
	}
	nodesGiven := false
	d.Visit(func(g *flag.Flag) { nodesGiven = nodesGiven || g.Name == "nodes" })
	switch {
	case d.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", d.Arg(0))
	case d.length <= 0:
		return errors.New("--for must be positive")
	case !(d.rate > 0 && d.rate <= 1000): // NaN fails every comparison
		return errors.New("--rate must be above 0 and at most 1000")
	case d.addr != "" && nodesGiven:
		return errors.New("--nodes starts fake servers and --addr uses a real one: give one of the two")
	case d.nodes < 1 || d.nodes > mostNodes:
		return fmt.Errorf("--nodes must be 1 to %d", mostNodes)
	case d.addr == "" && (d.user != "" || d.secretFile != "" || d.tls):
		return errors.New("--user, --secret-file and --tls need --addr")
	case d.addr == "":
		return nil
	case d.user == "" || d.secretFile == "":
		return errors.New("--addr needs --user and --secret-file")
	}
	secret, err := os.ReadFile(d.secretFile)
	d.secret = ami.NewSecret(strings.TrimRight(string(secret), "\r\n"))
	return err
}

// Run shows the library at work. The end of ctx is a clean end.
func (d *Demo) Run(ctx context.Context, out io.Writer) error {
	if d.addr != "" || d.nodes == 1 {
		return oneNode(ctx, d, out)
	}
	return manyNodes(ctx, d, out)
}
