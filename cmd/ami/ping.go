package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// pingCommand is "ami ping".
func (a *app) pingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Log in and measure how long an answer takes",
		Long: `Logs in to all nodes, or to those that --node names, sends a Ping to each, and
prints how long the answer took. It exits with 1 if one did not answer.`,
		Example: `  ami ping
  ami ping --node pbx1 --timeout 2s
  ami ping --addr 127.0.0.1 --user app --secret-file secret && echo it works`,
		Args: cobra.NoArgs,
	}
	a.askFlags(cmd)
	type result struct {
		outcome
		Latency float64 `json:"latency_ms,omitempty"`
	}
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error {
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		return ask(cmd.Context(), a, cmd, c, asking[time.Duration]{
			events: "off",
			do: func(ctx context.Context, c *ami.Client) (time.Duration, error) {
				start := time.Now()
				_, err := c.Send(ctx, action.Ping{})
				return time.Since(start), err
			},
			show: func(w *nodeWriter, o outcome, took time.Duration) {
				switch {
				case w.json && o.OK:
					w.object(result{o, millis(took)})
				case w.json:
					w.object(o)
				case o.OK:
					w.row(o.Node, "%s", ms(took))
				}
			},
		})
	})
	return cmd
}
