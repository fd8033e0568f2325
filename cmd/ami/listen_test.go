package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

// soon bounds what a test waits for; only a failure takes that long.
const soon = time.Minute

// A listener is a process of the command that runs until it is told to end.
type listener struct {
	*exec.Cmd
	out  *bufio.Reader
	errs *watched
}

// start starts a process of the command.
func start(t *testing.T, args ...string) *listener {
	t.Helper()
	l := &listener{Cmd: process(t.Context(), args...), errs: watch()}
	out, err := l.StdoutPipe()
	require.NoError(t, err)
	l.out, l.Stderr = bufio.NewReader(out), l.errs
	require.NoError(t, l.Start())
	t.Cleanup(func() { _ = l.Process.Kill() })
	return l
}

// line returns the next line of stdout.
func (l *listener) line(t *testing.T) string {
	t.Helper()
	s, err := l.out.ReadString('\n')
	require.NoError(t, err, l.errs.String())
	return strings.TrimSuffix(s, "\n")
}

// ends sends a signal and returns the exit code.
func (l *listener) ends(t *testing.T, s os.Signal) int {
	t.Helper()
	require.NoError(t, l.Process.Signal(s))
	_, _ = io.Copy(io.Discard, l.out) // Wait closes the pipe
	err := l.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(t, err)
	}
	return l.ProcessState.ExitCode()
}

// A watched is a buffer that one may wait for.
type watched struct {
	mu    sync.Mutex
	b     bytes.Buffer
	grown chan struct{}
}

func watch() *watched { return &watched{grown: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.grown <- struct{}{}:
	default:
	}
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// await waits until the buffer holds the text.
func (w *watched) await(t *testing.T, text string) {
	t.Helper()
	w.awaitMatch(t, regexp.QuoteMeta(text))
}

// awaitMatch waits until a regular expression matches.
func (w *watched) awaitMatch(t *testing.T, pattern string) {
	t.Helper()
	late, re := time.After(soon), regexp.MustCompile(pattern)
	for !re.MatchString(w.String()) {
		select {
		case <-w.grown:
		case <-late:
			require.Fail(t, "never written", "%q in:\n%s", pattern, w)
		}
	}
}

// background runs the command in this process and returns what it prints, and
// later its exit code.
func background(t *testing.T, args ...string) (*watched, *watched, <-chan int) {
	t.Helper()
	ctx, code, out, errs := within(t), make(chan int, 1), watch(), watch()
	go func() { code <- run(ctx, args, out, errs) }()
	return out, errs, code
}

// within returns a context that ends when a test has waited long enough.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	return ctx
}

func hangup(srv *amitest.Server, channel string, cause int) {
	srv.Broadcast("Hangup", amitest.ClassCall, amitest.F("Channel", channel), amitest.F("Cause", fmt.Sprint(cause)), amitest.F("Cause-txt", "User busy"))
}

// TestListen: the three forms of output, filtered.
func TestListen(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"text", nil},
		{"json", []string{"--json"}},
		{"headers", []string{"--headers", "Channel,Cause"}},
		{"headers-json", []string{"--headers", "Channel,Nothing", "--json"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := fake(t)
			out, errs, done := background(t, append([]string{"listen", "-c", nodes(t, srv), "--event", "hangup", "--where", "Cause=17", "--count", "2"}, tc.args...)...)
			require.NoError(t, srv.WaitSessions(within(t), 1))
			hangup(srv, "PJSIP/2001-1", 16) // another cause
			hangup(srv, "PJSIP/2001-2", 17)
			srv.Broadcast("Newchannel", amitest.ClassCall, amitest.F("Cause", "17")) // another event
			out.await(t, "PJSIP/2001-2")
			srv.Session(1).Reset()
			require.NoError(t, srv.WaitConnections(within(t), 0))
			require.NoError(t, srv.WaitSessions(within(t), 1))
			hangup(srv, "\x1b[2JPJSIP/2001-3", 17)
			require.Zero(t, <-done, errs.String())
			golden(t, "listen-"+tc.name, out.String(),
				`\d\d:\d\d:\d\d\.\d\d\d`, "TIME", `"time":"[^"]*"`, `"time":"TIME"`, `"seq":\d+`, `"seq":N`,
				`away for [^,]*`, "away for TIME", `"down_ms":[\d.]+`, `"down_ms":TIME`, `127\.0\.0\.1:\d+`, "ADDR",
				`(: |")ami: node pbx1: session .*? (connection reset by peer|EOF)`, "${1}REASON", `REASON[^"\n]*`, "REASON")
			require.Contains(t, errs.String(), "msg=connected")
			require.Contains(t, errs.String(), "msg=stopped printed=2 gaps=1 lost=0")
		})
	}
}

// TestListenToSome: nodes that were not chosen are not even connected to.
func TestListenToSome(t *testing.T) {
	one, two := fake(t), fake(t)
	out, errs, done := background(t, "listen", "-c", nodes(t, one, two), "--node", "pbx2", "--count", "1", "--event", "Hangup")
	require.NoError(t, two.WaitSessions(within(t), 1))
	hangup(two, "PJSIP/1", 17)
	require.Zero(t, <-done, errs.String())
	require.Contains(t, out.String(), "pbx2 Hangup Channel=PJSIP/1 Cause=17 Cause-txt=\"User busy\"\n")
	require.Empty(t, one.Ledger())
}

// TestListenReloads: on SIGHUP nodes come, go and change, the others keep their
// sessions, and a file that is wrong changes nothing.
func TestListenReloads(t *testing.T) {
	t.Parallel()
	kept, gone, came := fake(t), fake(t), fake(t, amitest.WithUser(amitest.User{Name: "admin", Secret: "secret"}), amitest.WithUser(amitest.User{Name: "other", Secret: "secret"}))
	file := nodes(t, kept, gone)
	l := start(t, "listen", "-c", file, "--event", "Hangup", "--headers", "Channel")
	require.NoError(t, kept.WaitSessions(within(t), 1))
	require.NoError(t, gone.WaitSessions(within(t), 1))
	hangup(kept, "before", 17)
	require.Equal(t, "before", l.line(t))

	put := func(text, says string) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, l.Process.Signal(syscall.SIGHUP))
		l.errs.await(t, says)
	}
	put("nodes: [\n", "msg=\"new configuration is wrong, the old one stays\"")
	require.Contains(t, l.errs.String(), file+":2: the file: no valid YAML")
	hangup(gone, "still there", 17)
	require.Equal(t, "still there", l.line(t))

	head := "defaults: {username: admin, secret: secret}\nnodes:\n- {key: pbx1, addr: \"" + kept.Addr() + "\"}\n"
	put(head+"- {key: pbx3, addr: \""+came.Addr()+"\"}\n", "added=[pbx3] removed=[pbx2] replaced=[] kept=[pbx1]")
	require.Regexp(t, `^# \S+ pbx2 end: the node is not listened to any more$`, l.line(t))
	require.NoError(t, gone.WaitSessions(within(t), 0))
	require.NoError(t, came.WaitSessions(within(t), 1))
	hangup(came, "new", 17)
	require.Equal(t, "new", l.line(t))

	put(head+"- {key: pbx3, addr: \""+came.Addr()+"\", username: other}\nkeepalive: {interval: 20s}\n", "needs a restart: keepalive.interval")
	require.Regexp(t, `^# \S+ pbx3 end: `, l.line(t))
	require.NoError(t, came.WaitAction(within(t), "Login", 2))
	require.Eventually(t, func() bool { return came.Session(2).User() == "other" }, soon, time.Millisecond, "as the other user")
	require.Len(t, kept.LedgerOf(1), 1, "one login and nothing else")
	require.Nil(t, kept.Session(2))
	hangup(kept, "after", 17)
	require.Equal(t, "after", l.line(t))

	require.Zero(t, l.ends(t, syscall.SIGTERM), l.errs.String())
	require.NoError(t, kept.WaitSessions(within(t), 0))
	ledger := kept.LedgerOf(1)
	require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
	require.NotContains(t, l.errs.String(), "secret: secret")
}

// TestReloadOfChosenNodes: a new file brings no node that was not chosen.
func TestReloadOfChosenNodes(t *testing.T) {
	t.Parallel()
	one, two := fake(t), fake(t)
	file := nodes(t, one, two)
	l := start(t, "listen", "-c", file, "--node", "pbx1")
	require.NoError(t, one.WaitSessions(within(t), 1))
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(yaml(one, two), "admin", "other", 1)), 0o600))
	require.NoError(t, l.Process.Signal(syscall.SIGHUP))
	l.errs.await(t, "added=[] removed=[] replaced=[pbx1] kept=[]")
	require.Zero(t, l.ends(t, os.Interrupt))
	require.Empty(t, two.Ledger())
}

// TestReaderGoes: "ami listen | head -1" ends quietly, and logs off.
func TestReaderGoes(t *testing.T) {
	t.Parallel()
	srv := fake(t, amitest.WithCalls(50))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := process(t.Context(), "listen", "-c", nodes(t, srv), "--log-level", "warn")
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &errs
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	_, err = bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, cmd.Wait(), errs.String())
	require.Empty(t, errs.String())
	_, err = srv.WaitLedger(within(t), func(e amitest.Entry) bool { return e.Action == "Logoff" })
	require.NoError(t, err)
}

// TestOutputIsStuck: events that nobody takes are dropped and counted, the node
// does not notice, and the command ends all the same.
func TestOutputIsStuck(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	l := start(t, "listen", "-c", write(t, "ami.yaml", yaml(srv)+"drop_summary: 100ms\n"), "--buffer", "100")
	require.NoError(t, srv.WaitSessions(within(t), 1))
	require.NoError(t, srv.Flood(within(t), 0, 20_000)) // 9 MB: more than pipe and buffers hold
	l.errs.await(t, "events dropped: a subscription does not keep up")
	l.errs.awaitMatch(t, `dropped_total=19\d{3} `) // before that the rest is on its way, on a busy machine
	require.Len(t, srv.Sessions(), 1, "the node does not notice")
	require.NoError(t, l.Process.Signal(os.Interrupt))
	l.errs.await(t, "the output takes nothing")
	require.Regexp(t, `lost=19\d{3}\n`, l.errs.String())
	require.NoError(t, srv.WaitSessions(within(t), 0))
	require.Equal(t, exitFailed, l.ends(t, syscall.Signal(0)))
}

// TestLogIsStuck: a terminal that was stopped slows no event.
func TestLogIsStuck(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }() // nobody reads it
	fill := bytes.Repeat([]byte("x"), 4096)
	for took := -1; took != 0; { // until it takes no byte more in all that time
		require.NoError(t, w.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		took = 0
		for err = nil; err == nil; {
			var n int
			n, err = w.Write(fill)
			took += n
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	l := &listener{Cmd: process(t.Context(), "listen", "-c", nodes(t, srv), "--headers", "Seq"), errs: watch()}
	out, err := l.StdoutPipe()
	require.NoError(t, err)
	l.out, l.Stderr = bufio.NewReader(out), w
	require.NoError(t, l.Start())
	require.NoError(t, w.Close())
	require.NoError(t, srv.WaitSessions(within(t), 1))
	require.NoError(t, srv.Flood(within(t), 0, 1000))
	for last := ""; last != "1000"; last = l.line(t) {
		require.NotEqual(t, "1001", last)
	}
	require.Zero(t, l.ends(t, os.Interrupt))
}

// TestListenOnTerminal: colours there, and none in a pipe.
func TestListenOnTerminal(t *testing.T) {
	srv := fake(t, amitest.WithCalls(50))
	file := nodes(t, srv)
	t.Setenv("TERM", "xterm")
	shown := onTerminal(t, process(t.Context(), "listen", "-c", file, "--count", "3", "--log-level", "error"))
	require.Contains(t, shown, "\x1b[36mpbx1\x1b[0m")
	t.Setenv("NO_COLOR", "1")
	shown = onTerminal(t, process(t.Context(), "listen", "-c", file, "--count", "3", "--log-level", "error"))
	require.Contains(t, shown, "pbx1")
	require.NotContains(t, shown, "\x1b[")
}

func TestListenRefuses(t *testing.T) {
	file := write(t, "ami.yaml", twoNodes)
	for _, tc := range []struct{ name, args, says string }{
		{"where", "--where Cause", `--where "Cause" must be Header=Value`},
		{"pattern", "--where Cause~(", "missing closing )"},
		{"node", "--node pbx3", "no node pbx3 in the configuration: did you mean pbx1?"},
		{"node and all", "--node pbx1 --all", "none of the others can be"},
		{"buffer", "--buffer 1", "--buffer must be"},
		{"count", "--count -1", "--count must not"},
		{"time", "--for -1s", "--for must not"},
		{"level", "--log-level loud", "log-level"},
		{"argument", "Hangup", "Hangup"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"listen", "-c", file}, strings.Fields(tc.args)...)...)
			require.Equal(t, exitUsage, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
			require.Empty(t, e.out)
		})
	}
}

// TestListenForAWhile: an event that is unknown is waited for, with a warning.
func TestListenForAWhile(t *testing.T) {
	srv := fake(t)
	e := call(t, "listen", "-c", nodes(t, srv), "--event", "Hangupp", "--for", "200ms")
	require.Zero(t, e.code)
	require.Contains(t, e.errs, "no Asterisk from 18 to 23 has this event")
	require.Empty(t, e.out)
	require.True(t, knownEvent("hangup"))
	require.False(t, knownEvent("a\r\n\r\nEvent: Hangup"))
}

// TestJSONOfEvents: any event makes one line of valid JSON.
func TestJSONOfEvents(t *testing.T) {
	srv := fake(t, amitest.WithCalls(100))
	e := call(t, "listen", "-c", nodes(t, srv), "--json", "--count", "200")
	require.Zero(t, e.code, e.errs)
	for line := range strings.Lines(e.out) {
		var j struct {
			Node, Event string
			Headers     map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(line), &j), line)
		require.Equal(t, "pbx1", j.Node)
		require.Equal(t, j.Event, j.Headers["Event"])
	}
	require.Equal(t, 200, strings.Count(e.out, "\n"))
}
