package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/apn/ami/config"
)

// A choice is which nodes of the configuration a command is about.
type choice struct {
	keys  []string
	given bool // --node was, which may have set no key; set by app.run
	all   bool
}

// nodeFlags gives a command the flags of target and choice.
func (a *app) nodeFlags(cmd *cobra.Command) {
	a.targetFlags(cmd)
	f := cmd.Flags()
	f.StringSliceVarP(&a.choice.keys, "node", "n", nil, "`key` of a node of the configuration; may be repeated")
	f.BoolVar(&a.choice.all, "all", false, "all nodes of the configuration")
	cmd.MarkFlagsMutuallyExclusive("node", "all")
	_ = cmd.RegisterFlagCompletionFunc("node", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := a.target.load(cmd.Context(), func(finding) {})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return keysOf(c), cobra.ShellCompDirectiveNoFileComp
	}) // the flag exists
}

// only returns the configuration with the chosen nodes.
func (c *choice) only(all *config.Config) (*config.Config, error) {
	switch {
	case len(c.keys) > 0:
	case c.given: // an empty variable of a script, which does not mean all
		return nil, wrong("--node must name a node")
	default:
		return all, nil
	}
	keys := keysOf(all)
	for _, key := range c.keys {
		if !slices.Contains(keys, key) {
			return nil, wrong("no node %s in the configuration%s", key, didYouMean(key, keys))
		}
	}
	return all.Only(c.keys...), nil
}

// chosen returns the configuration with the chosen nodes, all if none was chosen.
func (a *app) chosen(ctx context.Context) (*config.Config, error) {
	c, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	return a.choice.only(c)
}

func keysOf(c *config.Config) (keys []string) {
	for _, n := range c.Nodes() {
		keys = append(keys, n.Key)
	}
	return keys
}
