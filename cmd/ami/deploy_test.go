package main

import (
	"encoding/json"
	"fmt"
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

	// It comes back for ever, but for what RestartPreventExitStatus has, which is about
	// the main process alone.
	require.Contains(t, string(unit), "\nRestart=always\n")
	require.Contains(t, string(unit), "\nStartLimitIntervalSec=0\n")
	require.Contains(t, string(unit), fmt.Sprintf("\nRestartPreventExitStatus=%d %d\n", exitUsage, exitConfig))
	require.NotContains(t, string(unit), "\nExecStartPre=")

	var calls [][]string
	for _, m := range regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/ami (.*)$`).FindAllSubmatch(unit, -1) {
		calls = append(calls, strings.Fields(string(m[1])))
	}
	require.Len(t, calls, 1)
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
		cmd := commands["ami "+args[0]]
		require.NotNil(t, cmd, args[0])
		require.NoError(t, cmd.ParseFlags(args[1:]), "%v", args)
		require.Empty(t, cmd.Flags().Args(), "%v", args)
	}
}
