package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// exits waits for the end of a process and returns its exit code.
func exits(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			require.NoError(t, err)
		}
	case <-time.After(soon):
		require.Fail(t, "it does not end")
	}
	return cmd.ProcessState.ExitCode()
}

// TestTopOnTerminal: the real command, as a user sees it.
func TestTopOnTerminal(t *testing.T) {
	t.Parallel()
	one, two := fake(t), fake(t)
	file := write(t, "ami.yaml", yaml(one, two)+"backoff: {base: 100ms, limit: 200ms, floor: 50ms}\n")
	cmd := process(t.Context(), "top", "-c", file, "--interval", "100ms")
	f := openTerminal(t, cmd, 80, 24)
	// Each is looked for until it is there: a screen is drawn bit by bit, and what a
	// node is asked for is answered when it can.
	idle := regexp.MustCompile(`(?m)^>pbx1 +ready +\d+s +[\d.]+ +0 +0 +0 +\d+\.\d\d ms +0\n pbx2 +ready +\d+s +[\d.]+ +0 +0 +0 +\d+\.\d\d ms +0$`)
	screen := f.await(t, "both nodes", func(s string) bool {
		return strings.Contains(s, "2/2 ready") && idle.MatchString(s) && strings.Contains(s, "q quit  s sort")
	})
	require.Regexp(t, `^ami top  2/2 ready .* \d\d:\d\d:\d\d\n NODE +STATE +SINCE +EVENTS/S +QUEUE +DROPS +PEND +LATENCY +CHANS\n`, screen)
	require.Equal(t, 24, strings.Count(screen, "\n"))

	// A channel comes and goes.
	channel := []frame.Field{amitest.F("Channel", "PJSIP/2001-1"), amitest.F("Uniqueid", "1.1")}
	one.Broadcast("Newchannel", amitest.ClassCall, channel...)
	f.await(t, "a channel", func(s string) bool { return regexp.MustCompile(`(?m)^>pbx1.* ms +1$`).MatchString(s) })
	one.Broadcast("Hangup", amitest.ClassCall, channel...)
	f.await(t, "no channel", func(s string) bool { return regexp.MustCompile(`(?m)^>pbx1.* ms +0$`).MatchString(s) })

	// A node dies and comes back.
	two.Drop()
	f.await(t, "a dead node", func(s string) bool { return regexp.MustCompile(`(?m)^ pbx2 +(dis)?connect`).MatchString(s) })
	f.has(t, "1/2 ready")
	f.resize(t, 140, 10)
	f.await(t, "why it is down", func(s string) bool {
		return regexp.MustCompile(`(?m)^ pbx2 +(dis)?connect.* 22\.10\.1 +\S+`).MatchString(s) && strings.Contains(s, "REASON")
	})
	require.NoError(t, two.Start(0))
	f.has(t, "2/2 ready")
	f.await(t, "a reconnect", func(s string) bool { return regexp.MustCompile(`(?m)^ pbx2 +ready +\d+s +1 +2 `).MatchString(s) })
	f.resize(t, 40, 6)
	f.await(t, "a narrow screen", func(s string) bool {
		return strings.Contains(s, " NODE     STATE        EVENTS/S  CHANS\n")
	})

	// Keys.
	f.resize(t, 80, 24)
	f.has(t, "q quit  s sort")
	f.keys(t, "\x1b[B\r") // down, enter
	f.has(t, "last gap")
	f.has(t, two.Addr())
	f.has(t, "may write")
	f.has(t, "FullyBooted")
	f.keys(t, "?")
	f.has(t, "keys and columns")
	f.keys(t, "\r")
	f.has(t, "2/2 ready")
	f.keys(t, "/1")
	f.await(t, "the filter", func(s string) bool { return strings.Contains(s, "/1_") && !strings.Contains(s, "pbx2") })
	f.keys(t, "\rs")
	f.has(t, "by STATE up")
	f.keys(t, "r")
	f.has(t, "by STATE down")
	f.keys(t, "q")
	require.Zero(t, exits(t, cmd))
	f.restored(t)
	require.NoError(t, one.WaitSessions(within(t), 0))
	ledger := one.LedgerOf(1)
	require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
	require.Contains(t, f.raw.String(), "\x1b[32mready", "colours")
}

// TestTopEnds: every end restores the terminal and is no failure.
func TestTopEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		keys   string
		signal os.Signal
	}{
		{"q", "q", nil},
		{"Ctrl-C", "\x03", nil},
		{"Ctrl-C while a filter is typed", "/a\x03", nil},
		{"Esc", "\x1b", nil},
		{"SIGINT", "", os.Interrupt},
		{"SIGTERM", "", syscall.SIGTERM},
		{"SIGHUP", "", syscall.SIGHUP},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := fake(t)
			cmd := process(t.Context(), "top", "-c", nodes(t, srv))
			cmd.Env = append(cmd.Env, "NO_COLOR=1")
			f := openTerminal(t, cmd, 80, 24)
			f.has(t, "1/1 ready")
			if tc.signal != nil {
				require.NoError(t, cmd.Process.Signal(tc.signal))
			} else {
				f.keys(t, tc.keys)
			}
			require.Zero(t, exits(t, cmd))
			f.restored(t)
			require.NoError(t, srv.WaitSessions(within(t), 0))
			require.NotRegexp(t, "\x1b\\[[0-9;]*[0-9]m", f.raw.String(), "NO_COLOR")
		})
	}
}

// TestTopTerminalStops: a terminal that takes nothing holds up neither the node nor
// the end.
func TestTopTerminalStops(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	cmd := process(t.Context(), "top", "-c", nodes(t, srv))
	cmd.Env = append(cmd.Env, "TERM=xterm")
	errs := watch()
	cmd.Stderr = errs
	// The first screen is larger than what the kernel takes for a reader.
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 5000})
	require.NoError(t, err)
	defer func() { _ = master.Close() }()
	seen, buf := "", make([]byte, 64)
	for !strings.Contains(seen, "ami top") {
		n, err := master.Read(buf)
		require.NoError(t, err)
		seen += string(buf[:n])
	}
	require.NoError(t, srv.WaitSessions(within(t), 1))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitFailed, exits(t, cmd))
	require.Equal(t, "ami top: the output takes nothing\n", errs.String())
	require.NoError(t, srv.WaitSessions(within(t), 0))
	ledger := srv.LedgerOf(1)
	require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
}

// TestTopTerminalGoes: somebody closes the window.
func TestTopTerminalGoes(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	cmd := process(t.Context(), "top", "-c", nodes(t, srv))
	f := openTerminal(t, cmd, 80, 24)
	f.has(t, "1/1 ready")
	require.NoError(t, f.master.Close())
	require.Zero(t, exits(t, cmd))
	require.NoError(t, srv.WaitSessions(within(t), 0))
	ledger := srv.LedgerOf(1)
	require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
}

// TestNoQuestionsToTheTerminal: no other command draws on the screen or asks the
// terminal for anything, which bubbletea would do for each, and wait for the answer.
func TestNoQuestionsToTheTerminal(t *testing.T) {
	t.Parallel()
	cmd := process(t.Context(), "--version")
	cmd.Env = append(cmd.Env, "CI=", "TERM=xterm-256color")
	require.NotContains(t, onTerminal(t, cmd), "\x1b")
}
