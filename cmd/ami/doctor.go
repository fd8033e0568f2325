package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/config"
)

// The steps of an examination, in order.
var steps = []string{"name", "secret", "port", "tls", "banner", "login", "sessions", "privileges", "events", "clock"}

// A verdict is how a step went.
type verdict string

const (
	fine    verdict = "ok"
	doubt   verdict = "warn"
	wrongly verdict = "fail"
	skipped verdict = "skip"
)

// A check is what was found at a step, and what to do about it.
type check struct {
	Step    string  `json:"step"`
	Verdict verdict `json:"verdict"`
	Text    string  `json:"text,omitempty"`
	Fix     string  `json:"fix,omitempty"` // a line of manager.conf, or of the configuration
}

// doctorCommand is "ami doctor".
func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with a node and which line to change",
		Long: `Goes the way to a node step by step: its name, its port, TLS, the banner, the
login, the sessions, the privileges of the user, the event mask, the clocks. It
says in plain words what is wrong at which step, and which line of manager.conf or
of the configuration to change. It changes nothing itself. It exits with 1 if a
step has failed; warnings do not count.`,
		Example: `  ami doctor
  ami doctor --node pbx1
  ami doctor --addr pbx1.example.com --user app --secret-file secret
  ami doctor --json | jq -r 'select(.verdict == "fail") | .fix'`,
		Args: cobra.NoArgs,
	}
	a.askFlags(cmd)
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error {
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		timeout, err := timeoutOf(cmd)
		if err != nil {
			return err
		}
		return a.doctor(cmd.Context(), c, timeout)
	})
	return cmd
}

// doctor examines the nodes of c.
func (a *app) doctor(ctx context.Context, c *config.Config, timeout time.Duration) error {
	s, err := connect(ctx, c, "", nil)
	if err != nil {
		return err
	}
	defer s.close()
	bounded, cancel := limited(ctx, timeout)
	defer cancel()
	nodes := make(map[string]ami.Node)
	for _, n := range c.Nodes() {
		nodes[n.Key] = n
	}
	failed := 0
	for got := range each(bounded, s, func(ctx context.Context, c *ami.Client) ([]check, error) { return examine(ctx, c), nil }) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := nodes[got.node]
		checks := wayTo(bounded, n, got.err)
		if got.err == nil {
			checks = append(checks, got.value...)
		}
		if a.out.checks(n, checks) {
			failed++
		}
		a.out.flush()
	}
	if failed > 0 {
		return &failedError{failed, len(s.keys)}
	}
	return nil
}

// looks is how verdicts look.
var looks = map[verdict]style{fine: green, doubt: yellow, wrongly: red, skipped: faint}

// checks prints what was found about a node, with the steps that were not reached,
// and reports whether one has failed.
func (o *output) checks(n ami.Node, all []check) (failed bool) {
	if !o.json {
		o.line("%s  %s", o.paint(cyan, n.Key), address(n))
	}
	for _, step := range steps {
		found := false
		for _, c := range all {
			if c.Step == step {
				found, failed = true, failed || c.Verdict == wrongly
				o.check(n.Key, c)
			}
		}
		if !found {
			o.check(n.Key, check{Step: step, Verdict: skipped, Text: "not reached"})
		}
	}
	return failed
}

func (o *output) check(node string, c check) {
	if o.json {
		o.object(struct {
			Node string `json:"node"`
			check
		}{node, c})
		return
	}
	o.line("  %s %-10s  %s", o.paint(looks[c.Verdict], fmt.Sprintf("%-4s", c.Verdict)), c.Step, clean(c.Text))
	if c.Fix != "" {
		o.line("       %-10s  -> %s", "", clean(c.Fix))
	}
}

// secured reports whether a node speaks TLS.
func secured(n ami.Node) bool { return n.TLS != nil || n.TLSFunc != nil }

// address is host:port of a node, with the port that is left out.
func address(n ami.Node) string {
	if _, _, err := net.SplitHostPort(n.Addr); err == nil {
		return n.Addr
	}
	if secured(n) {
		return net.JoinHostPort(n.Addr, "5039")
	}
	return net.JoinHostPort(n.Addr, "5038")
}
