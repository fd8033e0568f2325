package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/config"
	"github.com/apn/ami/event"
)

// replayed starts "ami replay" and returns it, and the file that it has printed.
func replayed(t *testing.T, args ...string) (*listener, string) {
	t.Helper()
	l := start(t, append([]string{"replay", "--addr", "127.0.0.1:0"}, args...)...)
	var text strings.Builder
	for line := ""; !strings.HasPrefix(line, "- {key:"); {
		line = l.line(t)
		text.WriteString(line + "\n")
	}
	return l, write(t, "ami.yaml", text.String())
}

// TestRoundTrip: what was simulated and recorded is what a listener to the replay gets,
// byte for byte and in order.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	sim, file := simulated(t, "--calls", "100", "--asterisk", "20")
	tape := filepath.Join(t.TempDir(), "x.amirec")
	e := call(t, "record", "-c", file, "-o", tape, "--frames", "500", "--log-level", "error")
	require.Zero(t, e.code, e.errs)
	require.Zero(t, sim.ends(t, os.Interrupt))
	want := recordsOf(t, tape)
	require.Len(t, want, 499)

	player, played := replayed(t, tape, "--speed", "max")
	c, err := config.Load(played, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"sim1"}, keysOf(c))
	client, err := ami.New(c.Nodes()[0])
	require.NoError(t, err)
	events := client.Subscribe(ami.Where(func(e event.Event) bool { return e.Name() != "FullyBooted" }))
	go func() { _ = client.Run(t.Context()) }() // until Close
	for i, wire := range want {
		require.Equal(t, wire, (<-events.C()).Frame.Wire(), i)
	}
	require.Equal(t, "Asterisk Call Manager/9.0.0", client.Stats().Banner)
	require.NoError(t, client.Close())

	again := filepath.Join(t.TempDir(), "again.amirec")
	e = call(t, "record", "-c", played, "-o", again, "--frames", "500", "--log-level", "error")
	require.Zero(t, e.code, e.errs)
	require.Equal(t, want, recordsOf(t, again))
	e = call(t, "listen", "-c", played, "--count", "500", "--headers", "Event,Channel,Uniqueid", "--log-level", "error")
	require.Zero(t, e.code, e.errs)
	e = call(t, "ping", "-c", played)
	require.Zero(t, e.code, e.errs)
	e = call(t, "status", "-c", played, "--sample", "0")
	require.Contains(t, e.out, "20.20.1")
	require.Zero(t, player.ends(t, os.Interrupt), player.errs.String())
}

// tapeWith writes a recording of events, so much apart.
func tapeWith(t *testing.T, apart time.Duration, names ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.amirec")
	file, err := os.Create(name)
	require.NoError(t, err)
	w, err := recording.NewWriter(file, recording.Header{Node: "pbx1", Banner: "Asterisk Call Manager/11.0.0"})
	require.NoError(t, err)
	at := time.Duration(0)
	for _, event := range names {
		require.NoError(t, w.Event(at, "Event: "+event+"\r\nPrivilege: call,all\r\n\r\n"))
		at += apart
	}
	require.NoError(t, w.End(at, recording.End{Events: uint64(len(names))}))
	require.NoError(t, file.Close())
	return name
}

// TestReplaySpeed: pauses are divided, each client gets it from the begin, and --loop
// begins anew.
func TestReplaySpeed(t *testing.T) {
	t.Parallel()
	tape := tapeWith(t, time.Hour, "A", "B", "C")
	l, file := replayed(t, tape, "--speed", "36000", "--loop", "--user", "app") // 100 ms
	for range 2 {
		begun := time.Now()
		e := call(t, "listen", "-c", file, "--event", "A,B,C", "--headers", "Event", "--count", "7", "--log-level", "error")
		require.Zero(t, e.code, e.errs)
		require.Equal(t, "A\nB\nC\nA\nB\nC\nA\n", e.out)
		require.GreaterOrEqual(t, time.Since(begun), 400*time.Millisecond)
	}
	require.Zero(t, l.ends(t, os.Interrupt))
}

// TestReplayTimeline plays a pair of files.
func TestReplayTimeline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := "Asterisk Call Manager/7.0.3\r\nResponse: Success\r\nActionID: x\r\n\r\nEvent: A\r\nPrivilege: call,all\r\n\r\nEvent: Item\r\nActionID: x\r\n\r\nEvent: B\r\nPrivilege: call,all\r\n\r\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old.server"), []byte(stream), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old.timeline"), []byte("0.001 S 30\n0.002 C 10\n0.003 S 1000\n0.004 EOF 0\n"), 0o600))
	l, file := replayed(t, filepath.Join(dir, "old.timeline"))
	e := call(t, "listen", "-c", file, "--headers", "Event", "--count", "3", "--log-level", "error")
	require.Equal(t, "FullyBooted\nA\nB\n", e.out, e.errs)
	e = call(t, "status", "-c", file, "--sample", "0")
	require.Contains(t, e.out, "18.26.4")
	require.Zero(t, l.ends(t, os.Interrupt))
}

func TestReplayPrints(t *testing.T) {
	tape := tapeWith(t, time.Second, "A", "B", "C")
	e := call(t, "replay", tape, "--listen", "127.0.0.1:0", "--for", "1ms")
	require.Zero(t, e.code, e.errs)
	golden(t, "replay", e.out, `127\.0\.0\.1:\d+`, "ADDR")
	e = call(t, "replay", tape, "--listen", "127.0.0.1:0", "--for", "1ms", "--json")
	require.Zero(t, e.code, e.errs)
	golden(t, "replay-json", e.out, `127\.0\.0\.1:\d+`, "ADDR")
	for _, name := range []string{"record", "replay"} {
		e = call(t, name, "--help")
		golden(t, name+"-help", e.out)
	}
}

func TestRecordAndReplayRefuse(t *testing.T) {
	tape := tapeWith(t, 0, "A")
	whole, err := os.ReadFile(tape)
	require.NoError(t, err)
	broken := write(t, "broken", string(whole)+"hello\n")
	config := write(t, "ami.yaml", twoNodes)
	for _, tc := range []struct {
		name, args string
		code       int
		says       string
	}{
		{"no file", "replay", exitUsage, "accepts 1 arg(s)"},
		{"speed", "replay " + tape + " --speed fast", exitUsage, "--speed must be"},
		{"no speed", "replay " + tape + " --speed 0", exitUsage, "--speed must be"},
		{"NaN", "replay " + tape + " --speed NaN", exitUsage, "--speed must be"},
		{"address", "replay " + tape + " --listen here", exitUsage, "must be host:port"},
		{"user", "replay " + tape + " --user=", exitUsage, "--user must not be empty"},
		{"time", "replay " + tape + " --for -1s", exitUsage, "--for must not be negative"},
		{"secret", "replay " + tape + " --secret-file /does/not/exist", exitConfig, "no such file"},
		{"not there", "replay /does/not/exist", exitFailed, "no such file"},
		{"no recording", "replay " + config, exitFailed, "ami.yaml: recording: line 1 (byte 0): no recording"},
		{"broken in the middle", "replay " + broken, exitFailed, "broken: recording: line "},
		{"two nodes", "record -c " + config, exitUsage, "which node shall be recorded? --node one of pbx1, pbx2"},
		{"unknown node", "record -c " + config + " --node pbx3", exitUsage, "did you mean pbx1?"},
		{"frames", "record -c " + config + " --frames -1", exitUsage, "--frames must not"},
		{"buffer", "record -c " + config + " --buffer 1", exitUsage, "--buffer must be"},
		{"length", "record -c " + config + " --for -1s", exitUsage, "--for must not"},
		{"no folder", "record -c " + config + " --node pbx1 -o /does/not/exist/x", exitFailed, "no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, strings.Fields(tc.args)...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
			require.Empty(t, e.out)
		})
	}
}

// TestCompletionOfFiles: a shell offers files where one is to be named.
func TestCompletionOfFiles(t *testing.T) {
	for _, tc := range []struct {
		args      []string
		directive string
	}{
		{[]string{"replay", ""}, ":0"},             // files
		{[]string{"replay", "x.amirec", ""}, ":4"}, // none
		{[]string{"record", "--output", ""}, ":0"},
	} {
		e := call(t, append([]string{"__complete"}, tc.args...)...)
		require.Contains(t, strings.Fields(e.out), tc.directive, tc.args)
	}
	e := call(t, "__complete", "replay", "--speed", "")
	require.Equal(t, []string{"1", "10", "max"}, firstWords(e.out))
}
