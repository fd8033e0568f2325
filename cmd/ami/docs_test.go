package main

import (
	"context"
	"io"
	"os"
	"regexp"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// tree returns the commands and topics that a user can call, by path.
func tree() map[string]*cobra.Command {
	_, stop := context.WithCancelCause(context.Background())
	a := &app{out: newOutput(io.Discard, stop), stderr: io.Discard}
	found := make(map[string]*cobra.Command)
	var add func(*cobra.Command)
	add = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if !sub.HasSubCommands() {
				found[sub.CommandPath()] = sub
			}
			add(sub)
		}
	}
	add(a.root())
	return found
}

// TestDocs: docs/command.md has a page for each command, and for no other.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/command.md")
	require.NoError(t, err)
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^## (ami.*)$").FindAllSubmatch(text, -1) {
		documented[string(m[1])] = true
	}
	for path, cmd := range tree() {
		if cmd.Runnable() {
			require.True(t, documented[path], "docs/command.md has no page for %s", path)
			delete(documented, path)
		}
	}
	require.Empty(t, documented, "docs/command.md has pages for what is no command")
}

// TestEveryCommandHelps: each says what it is, shows an example, and prints JSON.
func TestEveryCommandHelps(t *testing.T) {
	for path, cmd := range tree() {
		require.NotEmpty(t, cmd.Short, path)
		require.NotEmpty(t, cmd.Long, path)
		if !cmd.Runnable() {
			continue // a topic
		}
		require.Regexp(t, "(?m)^  "+regexp.QuoteMeta(path), cmd.Example, path)
		require.NotNil(t, cmd.Flags().Lookup("json"), "%s --json", path)
	}
}
