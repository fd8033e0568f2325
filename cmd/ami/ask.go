package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/config"
)

// An outcome is what every result of a node has as JSON.
type outcome struct {
	Node  string `json:"node"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// An asking is a command that asks each of the chosen nodes for one thing.
type asking[R any] struct {
	events string             // mask at login; "" for that of the configuration
	before func(*ami.Cluster) // called before anything is connected; may be nil
	do     func(context.Context, *ami.Client) (R, error)
	// show prints a result: as JSON in any case, as text whatever came, also if it
	// failed. The error of a failure is said besides.
	show func(w *nodeWriter, o outcome, value R)
}

// ask runs the command on the nodes of c.
func ask[R any](ctx context.Context, a *app, cmd *cobra.Command, c *config.Config, q asking[R]) error {
	timeout, err := timeoutOf(cmd)
	if err != nil {
		return err
	}
	s, err := connect(ctx, c, q.events, q.before)
	if err != nil {
		return err
	}
	defer s.close()
	bounded, cancel := limited(ctx, timeout)
	defer cancel()
	w := newNodeWriter(a.out, s.keys)
	failed := 0
	for got := range each(bounded, s, q.do) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o := outcome{Node: got.node, OK: got.err == nil}
		if got.err != nil {
			failed++
			o.Error = explain(got.node, got.err)
		}
		q.show(w, o, got.value)
		a.out.flush()
		if !o.OK && !a.out.json {
			a.say("%s: %s: %s", path(cmd), got.node, clean(o.Error))
		}
	}
	switch {
	case failed == 0:
		return nil
	case len(s.keys) == 1 && !a.out.json: // it was said
		return errSaid
	default:
		return &failedError{failed, len(s.keys)}
	}
}

// askFlags gives a command the flags of all that ask.
func (a *app) askFlags(cmd *cobra.Command) {
	a.nodeFlags(cmd)
	a.jsonFlag(cmd)
	cmd.Flags().Duration("timeout", 0, "how long a node may take in all (default: the limits of the configuration)")
}

// timeoutOf returns --timeout, 0 for none.
func timeoutOf(cmd *cobra.Command) (time.Duration, error) {
	timeout, _ := cmd.Flags().GetDuration("timeout") // it has the flag
	if timeout < 0 {
		return 0, wrong("--timeout must not be negative")
	}
	return timeout, nil
}

// explain is the text of a node's error, without the node, and with what to do
// about a refusal.
func explain(node string, err error) string {
	if e, ok := errors.AsType[*ami.ActionError](err); ok {
		text := "refused: " + e.Message
		facts, known := action.Lookup(e.Action)
		if !known || !errors.Is(err, ami.ErrPermission) {
			return text
		}
		if len(facts.Privilege) > 0 {
			text += fmt.Sprintf("; %s needs write = %s in the user's section of manager.conf", facts.Name, strings.Join(facts.Privilege, " or "))
		}
		if facts.Module != "core" { // Asterisk says the same when it was unloaded
			text += fmt.Sprintf("; or the module %s is not loaded", facts.Module)
		}
		return text
	}
	return fileKeys.Replace(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ami: "), "node "+node+": "))
}

// fileKeys puts the keys of the file in place of the fields of the library.
var fileKeys = strings.NewReplacer(
	"Node.TLS.RootCAs", "tls.ca", "Node.TLS.ServerName", "tls.server_name", "Node.TLS", "tls",
	"Node.Addr", "addr", "Username, Secret", "username, secret",
)

// A nodeWriter prints what belongs to nodes.
type nodeWriter struct {
	*output
	width int // of the longest key
	many  bool
}

func newNodeWriter(out *output, keys []string) *nodeWriter {
	w := &nodeWriter{output: out, many: len(keys) > 1}
	for _, key := range keys {
		w.width = max(w.width, len(key))
	}
	return w
}

// row prints a line that begins with a node.
func (w *nodeWriter) row(node, format string, args ...any) {
	w.line("%s  %s", w.paint(cyan, fmt.Sprintf("%-*s", w.width, node)), fmt.Sprintf(format, args...))
}

// ms is a duration for people.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
