package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apn/ami/cmd/ami/internal/demo"
)

// demoCommand is "ami demo". Its flags are those of package flag, one dash or two.
func (a *app) demoCommand() *cobra.Command {
	d := demo.New()
	cmd := &cobra.Command{
		Use:   "demo [flags]",
		Short: "Show the library at work on fake Asterisk servers",
		Long: `Logs in, asks, and watches events: on fake Asterisk servers with living calls,
of which one floods and another dies and comes back, unless --addr names a real
one.`,
		Example: `  ami demo                      three fake servers, 10 s
  ami demo --nodes 50 --for 30s
  ami demo --addr pbx1.example.com:5038 --user app --secret-file secret`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := d.Parse(args)
			if errors.Is(err, flag.ErrHelp) {
				return cmd.Help()
			}
			if err != nil {
				return err
			}
			a.started, a.out.json = true, d.JSON
			return d.Run(cmd.Context(), flushing{a.out})
		},
		ValidArgsFunction: func(_ *cobra.Command, _ []string, toComplete string) (found []string, _ cobra.ShellCompDirective) {
			d.VisitAll(func(f *flag.Flag) {
				if name := "--" + f.Name; strings.HasPrefix(name, toComplete) {
					found = append(found, fmt.Sprintf("%s\t%s", name, f.Usage))
				}
			})
			return found, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().AddGoFlagSet(d.FlagSet)
	return cmd
}

// flushing writes whole lines at once: somebody watches. What servers have sent is in
// them. As JSON each that is not empty is an object.
type flushing struct{ *output }

func (f flushing) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case !f.json:
			f.line("%s", clean(line))
		case line != "":
			f.object(struct {
				Text string `json:"text"`
			}{line})
		}
	}
	f.flush()
	return len(p), f.err
}
