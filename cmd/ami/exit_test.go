package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExitCodes has one call at least for each code that "ami help exit-codes"
// tells of.
func TestExitCodes(t *testing.T) {
	one := nodes(t, fake(t))
	two := nodes(t, fake(t), dead(t))
	good := write(t, "ami.yaml", twoNodes)
	bad := write(t, "ami.yaml", wrongFile)
	tape := tapeWith(t, 0, "A")
	for _, tc := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"help"}, exitOK, ""},
		{"help of a command", []string{"config", "check", "--help"}, exitOK, ""},
		{"help of exit codes", []string{"help", "exit-codes"}, exitOK, ""},
		{"version", []string{"--version"}, exitOK, ""},
		{"completion", []string{"completion", "bash"}, exitOK, ""},
		{"no command", nil, exitUsage, "Usage"},
		{"unknown command", []string{"confg"}, exitUsage, "config"},
		{"help of no command", []string{"help", "pin"}, exitUsage, "ping"},
		{"help of no subcommand", []string{"help", "config", "chekc"}, exitUsage, "unknown command"},
		{"completion of no shell", []string{"completion", "bahs"}, exitUsage, "did you mean bash?"},
		{"completion of which shell", []string{"completion"}, exitUsage, "which one of bash, fish, powershell, zsh?"},
		{"unknown flag", []string{"config", "check", "--fast"}, exitUsage, "unknown flag: --fast"},
		{"no subcommand", []string{"config"}, exitUsage, "which one of check, print, schema?"},
		{"unknown subcommand", []string{"config", "chekc"}, exitUsage, "did you mean check?"},
		{"stray argument", []string{"config", "check", "now"}, exitUsage, "now"},
		{"bad condition", []string{"listen", "-c", good, "--where", "Cause"}, exitUsage, "--where"},
		{"unknown node", []string{"listen", "-c", good, "--node", "pbx3"}, exitUsage, "did you mean pbx1?"},
		{"listen to what is wrong", []string{"listen", "-c", bad}, exitConfig, "ami.yaml:3"},
		{"answered", []string{"ping", "-c", one}, exitOK, ""},
		{"one of two is down", []string{"ping", "-c", two}, exitFailed, "1 of 2 nodes failed"},
		{"the one that was chosen is up", []string{"ping", "-c", two, "--node", "pbx1"}, exitOK, ""},
		{"no such node", []string{"ping", "-c", two, "--node", "bx1"}, exitUsage, "did you mean pbx1?"},
		{"a node without a name", []string{"send", "-c", two, "Ping", "--node", ""}, exitUsage, "--node must name a node"},
		{"call by a node without a name", []string{"originate", "-c", one, "--node", "", "PJSIP/1", "--application", "Wait"}, exitUsage, "--node must name a node"},
		{"less than no time", []string{"ping", "-c", one, "--timeout", "-1s"}, exitUsage, "--timeout must not be negative"},
		{"less than no time for a doctor", []string{"doctor", "-c", one, "--timeout", "-1s"}, exitUsage, "--timeout must not be negative"},
		{"ports that there are not", []string{"simulate", "--listen", "127.0.0.1:65535", "--nodes", "2", "--for", "1ms"}, exitUsage, "no ports for 2 servers"},
		{"refused action", []string{"send", "-c", one, "Getvar"}, exitFailed, "refused"},
		{"unknown action", []string{"send", "-c", one, "Pign"}, exitUsage, "did you mean Ping?"},
		{"unknown action all the same", []string{"send", "-c", one, "Pign", "--custom"}, exitFailed, "Invalid/unknown command"},
		{"header injection", []string{"send", "-c", one, "Getvar", "Variable=x\r\nAction: Logoff"}, exitUsage, "CR, LF or NUL"},
		{"failed CLI command", []string{"command", "-c", one, "dance"}, exitFailed, "the command failed"},
		{"call answered", []string{"originate", "-c", one, "--all", "PJSIP/1", "--application", "Wait"}, exitOK, ""},
		{"call not answered", []string{"originate", "-c", one, "--all", "PJSIP/busy", "--application", "Wait"}, exitFailed, "not answered: busy"},
		{"call by nobody", []string{"originate", "-c", one, "PJSIP/1", "--application", "Wait"}, exitUsage, "which node shall call?"},
		{"nobody to ask", []string{"ping", "-c", bad}, exitConfig, "ami.yaml:3"},
		{"a healthy node", []string{"doctor", "-c", one}, exitOK, ""},
		{"an ill node", []string{"doctor", "-c", two}, exitFailed, "1 of 2 nodes failed"},
		{"a file cannot be had", []string{"simulate", "--secret-file", "/does/not/exist"}, exitConfig, "no such file"},
		{"simulate is told to end", []string{"simulate", "--listen", "127.0.0.1:0", "--for", "1ms"}, exitOK, ""},
		{"record has what it wants", []string{"record", "-c", one, "-o", filepath.Join(t.TempDir(), "x"), "--frames", "1", "--log-level", "error"}, exitOK, ""},
		{"record of what is down", []string{"record", "-c", two, "--node", "pbx2", "-o", filepath.Join(t.TempDir(), "x"), "--log-level", "error"}, exitFailed, "ami record: pbx2: dial 127.0.0.1:"},
		{"record over a file", []string{"record", "-c", one, "-o", good}, exitUsage, "--force replaces it"},
		{"record of two nodes", []string{"record", "-c", two}, exitUsage, "which node shall be recorded?"},
		{"record of what is wrong", []string{"record", "-c", bad}, exitConfig, "ami.yaml:3"},
		{"replay is told to end", []string{"replay", tape, "--listen", "127.0.0.1:0", "--for", "1ms"}, exitOK, ""},
		{"replay of what is no recording", []string{"replay", good}, exitFailed, "no recording"},
		{"replay without a secret", []string{"replay", tape, "--secret-file", "/does/not/exist"}, exitConfig, "no such file"},
		{"replay of nothing", []string{"replay"}, exitUsage, "accepts 1 arg(s)"},
		{"listen is told to end", []string{"listen", "-c", good, "--for", "1ms", "--log-level", "error"}, exitOK, ""},
		{"top without a terminal", []string{"top", "-c", one}, exitUsage, "give --once for one table, or --json for objects"},
		{"top too often", []string{"top", "-c", one, "--once", "--interval", "1ms"}, exitUsage, "--interval must be 100ms to 1h"},
		{"a table of nodes, one of them down", []string{"top", "-c", two, "--once", "--interval", "100ms"}, exitOK, ""},
		{"a table of what is wrong", []string{"top", "-c", bad, "--once"}, exitConfig, "ami.yaml:3"},
		{"good configuration", []string{"config", "check", "-c", good}, exitOK, ""},
		{"bad configuration", []string{"config", "check", "-c", bad}, exitConfig, "errors"},
		{"bad configuration for another command", []string{"config", "print", "-c", bad}, exitConfig, "ami.yaml:3: nodes[1].adr: unknown key"},
		{"no configuration", []string{"config", "print", "-c", "/does/not/exist"}, exitConfig, "/does/not/exist: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, tc.args...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
			if tc.says == "" {
				require.Empty(t, e.errs)
			}
		})
	}
}

// brokenWriter fails like a full disk.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// TestOutputThatFails: a reader that has gone is a quiet end, a full disk is not.
func TestOutputThatFails(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		code int
		says string
	}{
		{"broken pipe", errPipe, exitOK, ""},
		{"full disk", errFull, exitFailed, "ami config schema: output: no space left on device\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var errs bytes.Buffer
			require.Equal(t, tc.code, run(t.Context(), []string{"config", "schema"}, brokenWriter{tc.err}, &errs))
			require.Equal(t, tc.says, errs.String())
		})
	}
}

// TestInterrupted: only a command that was cut short says so.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	require.Equal(t, exitOK, run(ctx, []string{"config", "schema"}, &out, &errs), errs.String())
}

// TestCompletion: scripts for all shells, and words where the command knows them.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		e := call(t, "completion", shell)
		require.Zero(t, e.code)
		require.Contains(t, e.out, "ami")
	}
	e := call(t, "__complete", "demo", "--s")
	require.Contains(t, e.out, "--secret-file")
	e = call(t, "__complete", "config", "")
	require.Equal(t, []string{"check", "print", "schema"}, firstWords(e.out))
}

// firstWords returns what a shell would offer.
func firstWords(out string) (words []string) {
	for line := range strings.Lines(out) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" && word[0] != ':' {
			words = append(words, word)
		}
	}
	return words
}
