package main

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// actionNames are the names of all actions, a line each: for completion, and for
// whoever mistypes one.
//
//go:embed actions.txt
var actionNames string

// sendCommand is "ami send".
func (a *app) sendCommand() *cobra.Command {
	var custom bool
	cmd := &cobra.Command{
		Use:   "send ACTION [Key=Value ...]",
		Short: "Send any action and print the whole answer",
		Long: `Sends an action to all nodes, or to those that --node names, and prints the
whole answer of each: the response, the items of a list, and the event that ends
it. A key may occur many times. It exits with 1 if a node refused.

An action that Asterisk 18 to 23 does not have is taken for a slip, unless
--custom says that it is one of your own modules. A value with a line end is
refused: it would be another header.`,
		Example: `  ami send CoreShowChannels
  ami send QueueAdd Queue=support Interface=PJSIP/2001 --node pbx1
  ami send Getvar Variable='CHANNELS()' --json | jq -r .response.Value
  ami send MyAction Header=value --custom`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return strings.Fields(actionNames), cobra.ShellCompDirectiveNoFileComp
		},
	}
	a.askFlags(cmd)
	cmd.Flags().BoolVar(&custom, "custom", false, "send also what is no action of Asterisk 18 to 23")
	cmd.RunE = a.run(func(cmd *cobra.Command, args []string) error {
		act, err := parseAction(args[0], args[1:], custom)
		if err != nil {
			return err
		}
		c, err := a.chosen(cmd.Context())
		if err != nil {
			return err
		}
		events := "off"
		if k := act.Strategy().Kind; k == strategy.Async || k == strategy.EventOnly {
			events = "" // its answer is an event
		}
		return ask(cmd.Context(), a, cmd, c, asking[*ami.Response]{
			events: events,
			do:     func(ctx context.Context, c *ami.Client) (*ami.Response, error) { return answerOf(c.Send(ctx, act)) },
			show:   showResponse,
		})
	})
	return cmd
}

// parseAction makes an action of words, and refuses what Asterisk would not read
// as these headers.
func parseAction(name string, words []string, custom bool) (action.Generic, error) {
	facts, known := action.Lookup(name)
	switch {
	case known:
		name = facts.Name
	case !custom:
		return action.Generic{}, wrong("no Asterisk from 18 to 23 has the action %q%s; --custom sends it all the same", name, didYouMean(name, strings.Fields(actionNames)))
	}
	act := action.Custom(name)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return act, wrong("%q must be Key=Value", word)
		}
		act = act.With(key, value)
	}
	return act, checkAction(act)
}

// checkAction refuses what the client would refuse, before anything is connected.
func checkAction(act action.Action) error {
	fields, err := act.AppendFields(nil)
	if err != nil {
		return &usageError{err}
	}
	for _, f := range fields {
		if strings.EqualFold(f.Key, "ActionID") {
			return wrong("ActionID is set by the command: it must be unique")
		}
	}
	if _, err := frame.AppendAction(nil, act.Name(), append(fields, frame.Field{Key: "ActionID", Value: "x"})); err != nil {
		return &usageError{err}
	}
	return nil
}

// answerOf returns the answer that came with a refusal as well.
func answerOf(r *ami.Response, err error) (*ami.Response, error) {
	if e, ok := errors.AsType[*ami.ActionError](err); ok {
		r = e.Response
	}
	return r, err
}

// jsonResponse is a whole answer as JSON.
type jsonResponse struct {
	outcome
	Response *headers  `json:"response,omitempty"`
	Items    []headers `json:"items,omitempty"`
	End      *headers  `json:"end,omitempty"`
	Partial  bool      `json:"partial,omitempty"`
}

// showResponse prints a whole answer.
func showResponse(w *nodeWriter, o outcome, r *ami.Response) {
	if w.json {
		j := jsonResponse{outcome: o}
		if r != nil {
			j.Response, j.Partial = &headers{frame: r.Frame}, r.Partial
			for _, item := range r.Items {
				j.Items = append(j.Items, headers{frame: item})
			}
			if r.End != nil {
				j.End = &headers{frame: r.End}
			}
		}
		w.object(j)
		return
	}
	if r == nil {
		return
	}
	style := green
	if !o.OK {
		style = red
	}
	w.row(o.Node, "%s  %s", w.paint(style, clean(r.Frame.Name())), clean(r.Message()))
	w.message(r.Frame, "Response", "Message")
	for _, item := range append(r.Items, r.End) {
		if item != nil {
			w.line("")
			w.message(item)
		}
	}
	if r.Partial {
		w.line("  %s", w.paint(yellow, "the time was up: this is not all"))
	}
}

// message prints the lines of a message, but for some.
func (w *nodeWriter) message(f *frame.Frame, but ...string) {
	for key, value := range f.All() {
		switch {
		case strings.EqualFold(key, "ActionID"), len(but) > 0 && (key == but[0] || key == but[1]):
		case key == "":
			w.line("  %s", clean(value))
		default:
			w.line("  %s: %s", w.paint(faint, clean(key)), clean(value))
		}
	}
}
