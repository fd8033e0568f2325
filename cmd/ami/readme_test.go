package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeSession: the session in the README happens as it stands there, but for
// figures and the order of lines.
func TestReadmeSession(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, session, ok := strings.Cut(string(readme), "```console\n$ go install ./cmd/ami\n")
	require.True(t, ok)
	session, _, ok = strings.Cut(session, "```")
	require.True(t, ok)
	session, ok = strings.CutPrefix(session, "$ (umask 077; ami simulate --nodes 3 > ami.yaml) &\n")
	require.True(t, ok)
	l, file := simulated(t, "--nodes", "3", "--calls", "20")
	t.Chdir(filepath.Dir(file))

	ran := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(session, "$ "), "\n$ ") {
		line, want, _ := strings.Cut(part, "\n")
		args, ok := strings.CutPrefix(line, "ami ")
		if !ok || strings.HasSuffix(args, "&") {
			continue // TestBridge has those of the bridge
		}
		e := call(t, words(args)...)
		require.Zero(t, e.code, "%s: %s", line, e.errs)
		require.Equal(t, alike(want), alike(e.out), line)
		ran++
	}
	require.Equal(t, 6, ran)
	require.Zero(t, l.ends(t, syscall.SIGTERM))
}

// words splits a line as a shell does that knows single quotes.
func words(line string) []string {
	var args []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2])
	}
	return args
}

// alike is what two runs have in common.
func alike(text string) []string {
	text = regexp.MustCompile(`-[0-9a-f]{8}|[0-9]+(\.[0-9]+)?`).ReplaceAllString(strings.TrimSpace(text), "0")
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return lines
}
