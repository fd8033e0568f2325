package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// A fleet is the fake servers of one call of "ami simulate" or "ami replay".
type fleet struct {
	app *app

	listen, user, secretFile string
	cert, key                string
	length                   time.Duration

	secret ami.Secret
	fakes  []*fakeNode
}

// A fakeNode is one server of a fleet.
type fakeNode struct {
	Node string `json:"node"`
	Addr string `json:"addr"`
	User string `json:"user"`

	relay relay
}

// flags gives a command the flags of all fleets.
func (f *fleet) flags(cmd *cobra.Command) {
	f.app.jsonFlag(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.user, "user", "admin", "the user who may log in, with all privileges")
	fl.StringVar(&f.secretFile, "secret-file", "", "`file` that holds the user's secret (default: it is \"secret\")")
	fl.StringVar(&f.cert, "cert", "", "speak TLS with the certificate in this PEM `file`")
	fl.StringVar(&f.key, "key", "", "PEM `file` with the key of --cert")
	fl.DurationVar(&f.length, "for", 0, "end after this time")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	_ = cmd.MarkFlagFilename("secret-file") // the flags exist
	_ = cmd.MarkFlagFilename("cert", "pem", "crt")
	_ = cmd.MarkFlagFilename("key", "pem", "key")
}

// check refuses what makes no sense.
func (f *fleet) check() error {
	switch {
	case f.user == "":
		return wrong("--user must not be empty")
	case f.length < 0:
		return wrong("--for must not be negative")
	}
	return nil
}

// options are those of every server.
func (f *fleet) options(ctx context.Context) ([]amitest.Option, error) {
	f.secret = ami.NewSecret("secret")
	if f.secretFile != "" {
		var err error
		if f.secret, err = ami.SecretFile(f.secretFile)(ctx); err != nil {
			return nil, &configError{[]string{"--secret-file: " + err.Error()}}
		}
	}
	opts := []amitest.Option{
		amitest.WithUser(amitest.User{Name: f.user, Secret: f.secret.Reveal()}), amitest.WithoutLedger(),
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, &configError{[]string{"--cert: " + err.Error()}}
		}
		opts = append(opts, amitest.WithCertificate(pair))
	}
	return opts, nil
}

// start listens for a server of each key and makes it.
func (f *fleet) start(ctx context.Context, keys []string, server func(n int) *amitest.Server) error {
	host, portText, err := net.SplitHostPort(f.listen)
	port, bad := strconv.ParseUint(portText, 10, 16)
	if err != nil || bad != nil {
		return wrong("--listen %q must be host:port", f.listen)
	}
	if port > 0 && int(port)+len(keys)-1 > 65535 {
		return wrong("--listen %q has no ports for %d servers behind it", f.listen, len(keys))
	}
	for n, key := range keys {
		p := 0
		if port > 0 {
			p = int(port) + n
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err != nil {
			return err
		}
		f.fakes = append(f.fakes, &fakeNode{
			Node: key, Addr: listener.Addr().String(), User: f.user,
			relay: relay{listener: listener, server: server(n), say: f.app.say},
		})
	}
	return nil
}

// close ends what start has made.
func (f *fleet) close() {
	for _, n := range f.fakes {
		_ = n.relay.listener.Close() // it may be closed already
		n.relay.server.Close()
	}
}

// serve serves all servers, and does something beside with each, until ctx ends, or
// until one of the two fails: then all end.
func (f *fleet) serve(ctx context.Context, beside func(context.Context, *amitest.Server) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, 2*len(f.fakes))
	var all sync.WaitGroup
	part := func(i int, do func() error) {
		all.Go(func() {
			if errs[i] = do(); errs[i] != nil {
				stop()
			}
		})
	}
	for i, n := range f.fakes {
		part(2*i, func() error { return n.relay.serve(ctx) })
		part(2*i+1, func() error { return beside(ctx, n.relay.server) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// print prints a configuration for the servers, below a line that says what they are.
func (f *fleet) print(what string) error {
	out := f.app.out
	defer out.flush()
	if out.json {
		for _, n := range f.fakes {
			out.object(n)
		}
		return nil
	}
	secret := "secret"
	if f.secretFile != "" {
		file, err := filepath.Abs(f.secretFile)
		if err != nil {
			return err
		}
		secret = fmt.Sprintf("{file: %q}", file)
	}
	out.line("# %s", what)
	out.line("defaults:")
	out.line("  username: %q", f.user)
	out.line("  secret: %s", secret)
	if f.cert != "" {
		file, err := filepath.Abs(f.cert)
		if err != nil {
			return err
		}
		out.line("  tls: {ca: %q}", file)
	}
	out.line("nodes:")
	for _, n := range f.fakes {
		out.line("- {key: %s, addr: %q}", n.Node, n.Addr)
	}
	return nil
}
