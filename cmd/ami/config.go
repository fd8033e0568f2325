package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/apn/ami/config"
)

// configCommand is "ami config" and what is below it.
func (a *app) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Show, check or describe the configuration",
		Example: `  ami config check --config /etc/ami/ami.yaml
  ami config print
  ami config schema > ami.schema.json`,
	}, a.configPrint(), a.configCheck(), a.configSchema())
}

func (a *app) configPrint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print what is in force, secrets masked",
		Long: `Prints the whole configuration as it is in force: defaults and what nodes
inherit filled in, secrets masked, and behind each value that does not stand in
the file where it comes from.`,
		Example: `  ami config print
  AMI_KEEPALIVE_INTERVAL=20s ami config print | grep -A2 keepalive
  ami config print --json | jq '.nodes[].addr'`,
		Args: cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd.Context())
			switch {
			case err != nil:
				return err
			case a.out.json:
				a.out.object(c)
			default:
				_, _ = fmt.Fprint(a.out, c) // noted
			}
			return nil
		}),
	}
	a.targetFlags(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) configCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say all that is wrong with the configuration",
		Long: `Prints every error with file, line and path, and exits with 3 if there is one.
Warnings go to stderr and are no errors. With --json both are printed, one object
each.`,
		Example: `  ami config check
  ami config check --config new.yaml && systemctl reload ami-listen
  ami config check --json | jq -r .path`,
		Args: cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			c, found, err := a.target.read(cmd.Context())
			if err != nil {
				return err
			}
			for _, f := range found {
				switch {
				case a.out.json:
					a.out.object(f)
				case f.Severity == "error":
					a.out.line("%s", f)
				default:
					a.warn(f)
				}
			}
			if c == nil {
				return &configError{[]string{plural(len(found), "error")}}
			}
			if !a.out.json {
				a.out.line("no errors: %s", plural(len(c.Nodes()), "node"))
			}
			return nil
		}),
	}
	a.targetFlags(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) configSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the file, for editors",
		Long: `Prints the JSON Schema (draft 2020-12) of the configuration file. Editors that
know it complete keys and mark mistakes: for the YAML language server put

    # yaml-language-server: $schema=ami.schema.json

into the first line of the file.`,
		Example: `  ami config schema > ami.schema.json`,
		Args:    cobra.NoArgs,
		RunE: a.run(func(*cobra.Command, []string) error {
			if a.out.json {
				a.out.object(json.RawMessage(config.Schema()))
			} else {
				_, _ = a.out.Write(config.Schema()) // noted; JSON as well, for people
			}
			return nil
		}),
	}
	a.jsonFlag(cmd)
	return cmd
}

// load returns the configuration and says its warnings.
func (a *app) load(ctx context.Context) (*config.Config, error) { return a.target.load(ctx, a.warn) }

// warn says what is doubtful about the configuration.
func (a *app) warn(f finding) { a.say("warning: %s", f) }
