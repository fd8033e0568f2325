package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/strategy"
)

// originateCommand is "ami originate".
func (a *app) originateCommand() *cobra.Command {
	var act action.Originate
	var variables []string
	var queued bool
	cmd := &cobra.Command{
		Use:   "originate CHANNEL",
		Short: "Place a call and say how it went",
		Long: `Dials CHANNEL on the nodes that --node or --all names, and connects it to an
extension or an application when it answers. It waits until the call is answered
or has failed, and exits with 1 unless every one was answered.

It takes the node from the command line alone, never all by default: a call is
not a question. The user needs write = originate, and read = call for the outcome;
with --queued it only waits until Asterisk has taken the call.`,
		Example: `  ami originate PJSIP/2001 --node pbx1 --context default --exten 100
  ami originate PJSIP/2001 --node pbx1 --application Playback --data demo-congrats
  ami originate Local/s@test --all --application Wait --data 5 --var TEST=1 --ring 10s`,
		Args: cobra.ExactArgs(1),
	}
	a.askFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&act.Context, "context", "", "`context` of --exten")
	f.StringVar(&act.Exten, "exten", "", "`extension` to connect to")
	f.StringVar(&act.Priority, "priority", "1", "`priority` or label of --exten")
	f.StringVar(&act.Application, "application", "", "`application` in place of an extension")
	f.StringVar(&act.Data, "data", "", "its `arguments`")
	f.DurationVar(&act.Timeout, "ring", 30*time.Second, "how long it may ring")
	f.StringVar(&act.CallerID, "caller-id", "", "caller: `\"Name\" <number>`")
	f.StringVar(&act.Account, "account", "", "account `code`")
	f.StringVar(&act.Codecs, "codecs", "", "`codecs` to use")
	f.StringArrayVar(&variables, "var", nil, "channel variable `NAME=VALUE`; may be repeated")
	f.BoolVar(&queued, "queued", false, "do not wait for the outcome")
	cmd.MarkFlagsMutuallyExclusive("exten", "application")
	cmd.MarkFlagsRequiredTogether("exten", "context")
	cmd.RunE = a.run(func(cmd *cobra.Command, args []string) error {
		act.Channel, act.Async = args[0], true
		if act.Application != "" {
			act.Priority = ""
		}
		for _, v := range variables {
			name, value, ok := strings.Cut(v, "=")
			if !ok || name == "" {
				return wrong("--var %q must be NAME=VALUE", v)
			}
			act.Variables = append(act.Variables, action.Variable{Name: name, Value: value})
		}
		if err := checkAction(act); err != nil {
			return err
		}
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		if len(a.choice.keys) == 0 && !a.choice.all && a.target.addr == "" {
			return wrong("which node shall call? --node KEY, or --all for a call on each of %s", strings.Join(keysOf(c), ", "))
		}
		return ask(cmd.Context(), a, cmd, c, originate(act, queued))
	})
	return cmd
}

// A placed is what became of a call.
type placed struct {
	Outcome  string `json:"outcome,omitempty"` // "answered", "busy" ...; "queued"
	Channel  string `json:"channel,omitempty"`
	UniqueID string `json:"uniqueid,omitempty"`
}

// originate is the asking that places a call on each node.
func originate(act action.Originate, queued bool) asking[placed] {
	type result struct {
		outcome
		placed
	}
	return asking[placed]{
		events: "call", // of which the outcome is one
		do: func(ctx context.Context, c *ami.Client) (placed, error) {
			if queued {
				_, err := c.Send(ctx, act, ami.AnsweredAs(strategy.Strategy{Kind: strategy.Single}))
				return placed{Outcome: "queued"}, err
			}
			call, err := ami.Call(ctx, c, act)
			if err != nil {
				return placed{}, err
			}
			p := placed{Outcome: call.Reason.String(), Channel: call.Channel, UniqueID: call.UniqueID}
			if !call.Answered() {
				return p, fmt.Errorf("the call was not answered: %s", p.Outcome)
			}
			return p, nil
		},
		show: func(w *nodeWriter, o outcome, p placed) {
			switch {
			case w.json:
				w.object(result{o, p})
			case o.OK:
				w.row(o.Node, "%s  %s  %s", w.paint(green, p.Outcome), clean(p.Channel), clean(p.UniqueID))
			}
		},
	}
}
