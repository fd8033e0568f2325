package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// commandCommand is "ami command".
func (a *app) commandCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "command CLI-COMMAND",
		Short: "Run a command of Asterisk's CLI",
		Long: `Runs a command of Asterisk's CLI on all nodes, or on those that --node names,
and prints what it says. Of one node it prints the bare output, of several a line
with the node before each. It exits with 1 if a node refused or the CLI failed.

The user needs write = command in manager.conf.`,
		Example: `  ami command "core show channels"
  ami command core show uptime --all
  ami command "core show channels concise" --node pbx1 | cut -d! -f1`,
		Args: cobra.MinimumNArgs(1),
	}
	a.askFlags(cmd)
	type result struct {
		outcome
		Output []string `json:"output"`
	}
	cmd.RunE = a.run(func(cmd *cobra.Command, args []string) error {
		act := action.Command{Command: strings.Join(args, " ")}
		if err := checkAction(act); err != nil {
			return err
		}
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		return ask(cmd.Context(), a, cmd, c, asking[*ami.Response]{
			events: "off",
			do: func(ctx context.Context, c *ami.Client) (*ami.Response, error) {
				r, err := answerOf(c.Send(ctx, act))
				if err != nil && r != nil && r.Output() != nil { // it was run, and says itself why
					err = errors.New("the command failed")
				}
				return r, err
			},
			show: func(w *nodeWriter, o outcome, r *ami.Response) {
				var lines []string
				if r != nil {
					lines = r.Output()
				}
				if w.json {
					w.object(result{o, append([]string{}, lines...)})
					return
				}
				if w.many && (o.OK || lines != nil) {
					w.line("%s", w.paint(cyan, o.Node+":"))
				}
				for _, line := range lines {
					w.line("%s", cleanLine(line))
				}
			},
		})
	})
	return cmd
}

// cleanLine is clean for a line whose columns may be set with tabs.
func cleanLine(s string) string { return clean(strings.ReplaceAll(s, "\t", "    ")) }
