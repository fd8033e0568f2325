package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/amitest/recording"
)

// records returns all of a recording, and the error that came last.
func records(t *testing.T, name string) (all []recording.Record, err error) {
	t.Helper()
	f, err := recording.Open(name)
	require.NoError(t, err)
	for rec, err := range f.Records() {
		if err != nil {
			return all, err
		}
		all = append(all, rec)
	}
	return all, nil
}

// recordsOf returns the events of a recording as they were received, without what
// tells of the login.
func recordsOf(t *testing.T, name string) (wires []string) {
	t.Helper()
	all, err := records(t, name)
	require.NoError(t, err)
	for _, rec := range all {
		if rec.Event != nil && rec.Event.Name() != "FullyBooted" {
			wires = append(wires, rec.Event.Wire())
		}
	}
	return wires
}

// replaced are what differs from run to run in what record says and writes.
var replaced = []string{
	`"start":"[^"]*"`, `"start":"TIME"`, `(?m)^@ [\d.]+ `, "@ MS ", `"down_ms":[\d.]+`, `"down_ms":MS`,
	`"reason":"[^"]*"`, `"reason":"REASON"`, `(Uptime|LastReload): \d+`, "$1: N", `event \d+\nEvent: FullyBooted`, "event N\nEvent: FullyBooted",
	`"seconds":[\d.]+`, `"seconds":S`, `"file":"[^"]*"`, `"file":"FILE"`, ` in [\d.]+m?s;`, " in TIME;", `; /\S+`, "; FILE",
	`\d+ bytes`, "N bytes", `"bytes":\d+`, `"bytes":N`,
}

// TestRecord: the file and what is said of it, with a gap and a secret.
func TestRecord(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
	}{{"text", nil}, {"json", []string{"--json"}}} {
		t.Run(tc.name, func(t *testing.T) {
			srv := fake(t, amitest.WithUser(amitest.User{Name: "admin", Secret: "canary"}))
			config := write(t, "ami.yaml", strings.Replace(yaml(srv), "secret: secret", "secret: canary", 1)+"redaction: {headers: [Pin]}\n")
			file := filepath.Join(t.TempDir(), "x.amirec")
			out, errs, done := background(t, append([]string{"record", "-c", config, "-o", file, "--frames", "5"}, tc.args...)...)
			require.NoError(t, srv.WaitSessions(within(t), 1))
			hangup(srv, "PJSIP/2001-1", 17)
			srv.Broadcast("VarSet", amitest.ClassDialplan, amitest.F("Variable", "API_TOKEN"), amitest.F("Value", "hidden"), amitest.F("Pin", "hidden"), amitest.F("Note", "said canary"))
			await(t, file, "said [redacted]")
			srv.Session(1).Reset()
			require.NoError(t, srv.WaitConnections(within(t), 0))
			require.NoError(t, srv.WaitSessions(within(t), 1))
			hangup(srv, "PJSIP/2001-2", 16)
			require.Zero(t, <-done, errs.String())
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NotContains(t, string(text)+out.String()+errs.String(), "canary")
			require.NotContains(t, string(text), "hidden")
			golden(t, "record-"+tc.name, out.String(), replaced...)
			golden(t, "record-file", strings.ReplaceAll(string(text), "\r\n", "\n"), replaced...)
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
		})
	}
}

// await waits until a file holds a text.
func await(t *testing.T, file, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), text)
	}, soon, 10_000_000)
}

// TestRecordIsInterrupted: a real process ends at Ctrl-C with all that it has
// received, an end mark and a good-bye.
func TestRecordIsInterrupted(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	file := filepath.Join(t.TempDir(), "x.amirec")
	l := start(t, "record", "-c", nodes(t, srv), "-o", file, "--json")
	require.NoError(t, srv.WaitSessions(within(t), 1))
	require.NoError(t, srv.Flood(within(t), 0, 20_000))
	require.Eventually(t, func() bool { // whichever they are: the first may be dropped
		info, err := os.Stat(file)
		return err == nil && info.Size() > 100_000
	}, soon, 10*time.Millisecond)
	require.NoError(t, l.Process.Signal(os.Interrupt))
	var sum recorded
	require.NoError(t, json.Unmarshal([]byte(l.line(t)), &sum))
	require.Zero(t, l.ends(t, syscall.Signal(0)), l.errs.String())
	require.NoError(t, srv.WaitSessions(within(t), 0))
	ledger := srv.LedgerOf(1)
	require.Equal(t, "Logoff", ledger[len(ledger)-1].Action)
	all, err := records(t, file)
	require.NoError(t, err)
	end := all[len(all)-1].End
	require.NotNil(t, end)
	require.Equal(t, recording.End{Events: sum.Events, Lost: sum.Lost}, *end)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, info.Size(), sum.Bytes)
	next, lost := 1, 0
	for _, rec := range all {
		lost += int(rec.Lost)
		if rec.Event != nil && rec.Event.Name() == "UserEvent" {
			seq, err := strconv.Atoi(rec.Event.Get("Seq"))
			require.NoError(t, err)
			require.Equal(t, next+lost, seq, "each event is there or counted where it is missing")
			next++
		}
	}
	require.Equal(t, int(sum.Lost), lost)
}

// TestRecordIsKilled: what was written before is a recording that can be played.
func TestRecordIsKilled(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	file := filepath.Join(t.TempDir(), "x.amirec")
	l := start(t, "record", "-c", nodes(t, srv), "-o", file)
	require.NoError(t, srv.WaitSessions(within(t), 1))
	hangup(srv, "PJSIP/2001-1", 17)
	await(t, file, "PJSIP/2001-1")
	require.NoError(t, l.Process.Kill())
	_ = l.Wait() // it was killed
	all, err := records(t, file)
	require.ErrorIs(t, err, recording.ErrCut)
	require.Equal(t, "PJSIP/2001-1", all[len(all)-1].Event.Get("Channel"))
	e := call(t, "replay", file, "--listen", "127.0.0.1:0", "--for", "1ms")
	require.Zero(t, e.code, e.errs)
	require.Contains(t, e.errs, "cut off: it has no end mark; what is before that is played")
}

// TestRecordLoses: what a disk that is too slow has cost stands in file and summary.
func TestRecordLoses(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	fifo := filepath.Join(t.TempDir(), "slow")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	r, err := os.OpenFile(fifo, os.O_RDWR, 0) // it holds 64 KiB until somebody reads
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	file, ev, done := tapeOf(t, srv, fifo)
	require.NoError(t, srv.Flood(within(t), 0, 20_000))
	require.Eventually(t, func() bool { return ev.Dropped() > 0 }, soon, 10_000_000)
	got := make(chan string)
	go func() {
		var b strings.Builder
		buf := make([]byte, 64<<10)
		for !strings.Contains(b.String()[max(0, b.Len()-200):], " end {") {
			n, err := r.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		got <- b.String()
	}()
	require.NoError(t, done())
	text := <-got
	in, err := recording.NewReader(strings.NewReader(text))
	require.NoError(t, err)
	var lost uint64
	for rec, err := in.Next(); err == nil; rec, err = in.Next() {
		lost += rec.Lost
		if rec.End != nil {
			require.Equal(t, file.lost, rec.End.Lost)
		}
	}
	require.Positive(t, lost)
	require.Equal(t, file.lost, lost)
	require.Equal(t, uint64(20_001), file.events.Load()+lost, "with FullyBooted")
}

// tapeOf records on a file in this process, with a buffer of 100 events.
func tapeOf(t *testing.T, srv *amitest.Server, name string) (*tape, *ami.Subscription, func() error) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	require.NoError(t, err)
	client, err := ami.New(ami.Node{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")})
	require.NoError(t, err)
	events := client.Subscribe(ami.Buffer(100))
	go func() { _ = client.Run(t.Context()) }() // until Shutdown
	require.NoError(t, client.Ready(within(t)))
	tp := &tape{file: file, client: client, start: time.Now()}
	tp.w, err = recording.NewWriter(file, recording.Header{Node: "pbx1"})
	require.NoError(t, err)
	written := make(chan error, 1)
	go func() { written <- tp.run(events.C(), 0) }()
	return tp, events, func() error {
		require.NoError(t, client.Shutdown(within(t)))
		err := <-written
		tp.dropped(events.Dropped())
		return errors.Join(tp.end(err, 0), file.Close())
	}
}

// TestRecordFullDisk: it is told, and what was written is whole.
func TestRecordFullDisk(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	file := filepath.Join(t.TempDir(), "x.amirec")
	l := &listener{Cmd: process(t.Context(), "record", "-c", nodes(t, srv), "-o", file), errs: watch()}
	l.Args = append([]string{"/bin/sh", "-c", `ulimit -f 100; exec "$0" "$@"`}, append([]string{l.Path}, l.Args[1:]...)...)
	l.Path = "/bin/sh"
	var out watched
	out.grown = make(chan struct{}, 1)
	l.Stdout, l.Stderr = &out, l.errs
	require.NoError(t, l.Start())
	require.NoError(t, srv.WaitSessions(within(t), 1))
	require.NoError(t, srv.Flood(within(t), 0, 10_000))
	err := l.Wait()
	require.Equal(t, exitFailed, l.ProcessState.ExitCode(), "%v %s", err, l.errs)
	require.Contains(t, l.errs.String(), "file too large; the ")
	require.Contains(t, out.String(), "0 gaps; "+file)
	all, err := records(t, file)
	require.ErrorIs(t, err, recording.ErrCut)
	require.Greater(t, len(all), 50)
	require.Contains(t, l.errs.String(), fmt.Sprintf("; the %d events before that are in the file", len(all)))
	require.Contains(t, out.String(), fmt.Sprintf("pbx1  %d events, ", len(all)))
	info, err := os.Stat(file)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Positive(t, info.Size())
	require.True(t, strings.HasSuffix(string(text), "\r\n\r\n"), "no part of a record is left")
}

// TestRecordFile: a file that is there stays, unless --force says otherwise, and one
// that is new goes if there is nothing to write.
func TestRecordFile(t *testing.T) {
	srv := fake(t)
	good := nodes(t, srv)
	there := write(t, "there", "precious")
	require.NoError(t, os.Chmod(there, 0o644))
	e := call(t, "record", "-c", good, "-o", there, "--frames", "1")
	require.Equal(t, exitUsage, e.code)
	require.Contains(t, e.errs, "is there already; --force replaces it")
	e = call(t, "record", "-c", nodes(t, dead(t)), "-o", there, "--force")
	require.Equal(t, exitFailed, e.code)
	require.Contains(t, e.errs, "connection refused")
	text, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text), "nothing has come in its place")
	e = call(t, "record", "-c", good, "-o", there, "--force", "--frames", "1")
	require.Zero(t, e.code, e.errs)
	_, err = records(t, there)
	require.NoError(t, err)
	info, err := os.Stat(there)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	dir := t.TempDir()
	t.Chdir(dir)
	e = call(t, "record", "-c", nodes(t, dead(t)))
	require.Equal(t, exitFailed, e.code)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	e = call(t, "record", "-c", good, "--frames", "1")
	require.Zero(t, e.code, e.errs)
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Regexp(t, `^pbx1-\d{8}-\d{6}\.amirec$`, left[0].Name())
	require.Equal(t, "a_b.c-1", safe("../a/b.c-1")[1:])
}

// TestRecordOnTerminal shows how it goes there, and nothing of that in a pipe.
func TestRecordOnTerminal(t *testing.T) {
	t.Parallel()
	srv := fake(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(errors.New("over"))
	cmd := process(ctx, "record", "-c", nodes(t, srv), "-o", filepath.Join(t.TempDir(), "x"), "--for", "5s", "--log-level", "error")
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=1") // it needs none
	shown := onTerminal(t, cmd)
	require.Regexp(t, "\r\x1b\\[Kpbx1  \\d events?, \\d+ bytes, \\d+s\r", shown)
	require.Contains(t, shown, "0 lost, 0 gaps; ")
}
