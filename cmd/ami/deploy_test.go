package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDeploy: the calls in the files of deploy/ are ones that the command takes.
func TestDeploy(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/ami-bridge.service")
	require.NoError(t, err)
	image, err := os.ReadFile("../../deploy/Dockerfile")
	require.NoError(t, err)

	var calls [][]string
	for _, m := range regexp.MustCompile(`(?m)^ExecStart(?:Pre)?=/usr/local/bin/ami (.*)$`).FindAllSubmatch(unit, -1) {
		calls = append(calls, strings.Fields(string(m[1])))
	}
	require.Len(t, calls, 2)
	m := regexp.MustCompile(`(?m)^CMD (.*)$`).FindSubmatch(image)
	require.NotNil(t, m)
	var args []string
	require.NoError(t, json.Unmarshal(m[1], &args))
	calls = append(calls, args)
	m = regexp.MustCompile(`(?s)docker run .*? ami (bridge .*?)\n#\n`).FindSubmatch(image)
	require.NotNil(t, m)
	calls = append(calls, strings.Fields(strings.NewReplacer("\\\n#", " ").Replace(string(m[1]))))

	commands := tree()
	for _, args := range calls {
		name := "ami " + args[0]
		flags := args[1:]
		if args[0] == "config" {
			name, flags = name+" "+args[1], args[2:]
		}
		cmd := commands[name]
		require.NotNil(t, cmd, name)
		require.NoError(t, cmd.ParseFlags(flags), "%v", args)
		require.Empty(t, cmd.Flags().Args(), "%v", args)
	}
}
