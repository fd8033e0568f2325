package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// An app is one call of the command: what its commands share.
type app struct {
	out    *output
	stderr io.Writer
	target target
	choice choice

	started bool // the call was understood: what fails now is no wrong call
}

// root makes all commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ami",
		Short: "Drive Asterisk servers through the Asterisk Manager Interface",
		Long: `ami drives Asterisk servers through the Asterisk Manager Interface (AMI).

The servers stand in a configuration file, or one of them in flags; see
"ami help configuration". All commands take the same file, environment and
flags, print JSON with --json, and share their exit codes ("ami help exit-codes").`,
		Example: `  ami demo                                       look at it without any server
  ami listen --addr pbx1.example.com --user app --secret-file secret
  ami ping                                       all nodes of ./ami.yaml or /etc/ami/ami.yaml
  source <(ami completion bash)                  shell completion`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.stderr)
			_ = cmd.Help() // stderr is gone: nobody is left to tell
			return &usageError{}
		},
	}
	root.SetOut(a.out)
	root.SetErr(a.stderr)
	root.AddCommand(a.demoCommand(), a.configCommand(), a.listenCommand(),
		a.pingCommand(), a.sendCommand(), a.commandCommand(), a.originateCommand(), a.statusCommand(), a.topCommand(), a.doctorCommand(),
		a.simulateCommand(), a.recordCommand(), a.replayCommand(), a.bridgeCommand(),
		exitCodesTopic(), configurationTopic())
	return root
}

// run makes of do what cobra calls once a call is understood.
func (a *app) run(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started, a.choice.given = true, cmd.Flags().Changed("node")
		return do(cmd, args)
	}
}

// group is a command that only has others below it.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.AddCommand(below...)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		if len(args) == 0 {
			return fmt.Errorf("which one of %s?", strings.Join(names, ", "))
		}
		return fmt.Errorf("unknown command %q%s", args[0], didYouMean(args[0], names))
	}
	return c
}

// strict makes the commands that cobra adds refuse what they do not know, as all
// others do: by themselves they print a help and succeed.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q for %q", rest[0], path(found))
				}
				return err
			}
		case "completion":
			group(cmd).Args = nil
		}
	}
}

// jsonFlag gives a command the flag --json.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.out.json, "json", false, "print JSON, one object in a line")
}

// version is that of the module, as far as the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}

// say prints a line for a person on stderr.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", args...) // nobody is left to tell
}

// path is a command's name with those above it.
func path(cmd *cobra.Command) string { return cmd.CommandPath() }

var errReader = errors.New("the reader of the output has gone")
