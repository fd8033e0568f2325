// Package nodes gives the examples their Asterisk servers: those that flags
// name, or fake ones with living calls.
package nodes

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// Flags are what all examples read from their command line. Make a set with
// New, add flags of your own to it, and call Parse.
type Flags struct {
	*flag.FlagSet

	// Length is how long to run.
	Length time.Duration

	nodes []ami.Node
	tls   bool
}

// New returns the flags of the program with this name.
func New(name string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(io.Discard) // Parse returns what there is to say
	f.DurationVar(&f.Length, "for", 5*time.Second, "how long to run; Ctrl-C ends it earlier")
	f.BoolVar(&f.tls, "tls", false, "connect to all nodes with TLS")
	f.Func("node", "`key=user:secretfile@host:port` of an Asterisk server; may be given many times.\nWithout it three fake servers are started.", f.add)
	return f
}

// Parse reads the arguments. The error is flag.ErrHelp with the help in it, or
// one sentence.
func (f *Flags) Parse(args []string) error {
	err := f.FlagSet.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		var help strings.Builder
		f.SetOutput(&help)
		f.PrintDefaults()
		return helpError("the flags are\n" + help.String())
	case err != nil:
		return err
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case f.Length <= 0:
		return errors.New("-for must be positive")
	case f.tls && len(f.nodes) == 0:
		return errors.New("-tls needs -node")
	}
	if f.tls {
		for i := range f.nodes {
			f.nodes[i].TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	return nil
}

// helpError is a flag.ErrHelp that says what there is to know.
type helpError string

func (e helpError) Error() string { return string(e) }

// Is makes it a flag.ErrHelp for errors.Is.
func (helpError) Is(target error) bool { return target == flag.ErrHelp }

// add takes one -node. The key must not hold "=", nor the user ":".
func (f *Flags) add(s string) error {
	key, rest, ok1 := strings.Cut(s, "=")
	at := strings.LastIndexByte(rest, '@')
	user, file, ok2 := strings.Cut(rest[:max(at, 0)], ":")
	if !ok1 || !ok2 {
		return errors.New("want key=user:secretfile@host:port")
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f.nodes = append(f.nodes, ami.Node{
		Key: key, Addr: rest[at+1:], Username: user,
		Secret: ami.NewSecret(strings.TrimRight(string(secret), "\r\n")),
	})
	return nil
}

// fakes is how many fake servers there are.
const fakes = 3

// Start returns the nodes to use, and a function that stops what was started.
// Fake servers are made with the options; halfway through the run the second of
// them resets its connection, so that there is a gap to see.
func (f *Flags) Start(opts ...amitest.Option) (nodes []ami.Node, stop func()) {
	if len(f.nodes) > 0 {
		return f.nodes, func() {}
	}
	var servers []*amitest.Server
	for i := range fakes {
		all := append([]amitest.Option{amitest.WithTCP(), amitest.WithSeed(uint64(i))}, opts...)
		srv := amitest.NewServer(all...)
		servers = append(servers, srv)
		nodes = append(nodes, ami.Node{
			Key: fmt.Sprint("fake", i+1), Addr: srv.Addr(),
			Username: "admin", Secret: ami.NewSecret("secret"),
		})
	}
	reset := time.AfterFunc(f.Length/2, func() {
		for _, s := range servers[1].Sessions() {
			s.Reset()
		}
	})
	return nodes, func() {
		reset.Stop()
		for _, srv := range servers {
			srv.Close()
		}
	}
}
