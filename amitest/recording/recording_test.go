package recording_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/internal/captures"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hangup = "Event: Hangup\r\nPrivilege: call,all\r\nCause: 17\r\n\r\n"

var head = recording.Header{Node: "pbx1", Banner: "Asterisk Call Manager/11.0.0", Start: time.Date(2026, 7, 1, 9, 14, 3, 120e6, time.UTC)}

const headLine = `{"ami_recording":1,"node":"pbx1","banner":"Asterisk Call Manager/11.0.0","start":"2026-07-01T09:14:03.12Z"}` + "\n"

// whole is a recording with one record of each kind.
const whole = headLine +
	"@ 412.031 event 49\n" + hangup +
	"@ 1000.000 lost 12\n" +
	`@ 1004.100 gap {"from":1,"to":2,"down_ms":812.4,"reason":"EOF"}` + "\n" +
	"@ 60000.000 end " + `{"events":1,"lost":12,"gaps":1}` + "\n"

func lines(s string) []string { return strings.SplitAfter(s, "\n") }

// TestWriter: the format, byte for byte.
func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w, err := recording.NewWriter(&b, head)
	require.NoError(t, err)
	require.Equal(t, lines(headLine), lines(b.String()), "at once")
	require.NoError(t, w.Event(412031*time.Microsecond, hangup))
	require.NoError(t, w.Lost(time.Second, 12))
	require.NoError(t, w.Lost(time.Second, 0))
	require.NoError(t, w.Gap(1004100*time.Microsecond, recording.Gap{From: 1, To: 2, DownMS: 812.4, Reason: "EOF"}))
	require.Equal(t, lines(headLine), lines(b.String()), "what follows is buffered")
	require.NoError(t, w.End(time.Minute, recording.End{Events: 1, Lost: 12, Gaps: 1}))
	require.Equal(t, lines(whole), lines(b.String()))
	require.Equal(t, int64(len(whole)), w.Kept())
	require.Equal(t, uint64(1), w.Events())
	require.Error(t, w.Event(0, "Event: X"), "no whole message")
}

// A disk has so much room.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room-d.Len())
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestFullDisk: wherever the disk is full, what Kept counts is a recording, and the
// error stays.
func TestFullDisk(t *testing.T) {
	for room := range len(whole) + 60 {
		d := &disk{room: room}
		w, err := recording.NewWriter(d, head)
		if room < len(headLine) {
			require.ErrorIs(t, err, syscall.ENOSPC)
			continue
		}
		require.NoError(t, err)
		var events []int // where each ends
		for i := range 3 {
			require.NoError(t, w.Event(time.Second, hangup))
			events = append(events, len(headLine)+(i+1)*(len("@ 1000.000 event 49\n")+len(hangup)))
		}
		err = w.Flush()
		if room >= events[2] {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorIs(t, w.Event(0, hangup), syscall.ENOSPC)
		require.ErrorIs(t, w.End(0, recording.End{}), syscall.ENOSPC)
		require.LessOrEqual(t, w.Kept(), int64(d.Len()))
		r, err := recording.NewReader(bytes.NewReader(d.Bytes()[:w.Kept()]))
		require.NoError(t, err)
		n := 0
		for _, err = r.Next(); err == nil; _, err = r.Next() {
			n++
		}
		require.ErrorIs(t, err, recording.ErrCut)
		want := 0
		for _, end := range events {
			if end <= room {
				want++
			}
		}
		require.Equal(t, want, n, "with room for %d", room)
		require.Equal(t, uint64(want), w.Events(), "with room for %d", room)
	}
}

// read returns all records in a few words, and the error that came last.
func read(r *recording.Reader) (all []string, err error) {
	for {
		rec, err := r.Next()
		switch {
		case err != nil:
			return all, err
		case rec.Event != nil:
			all = append(all, fmt.Sprint(rec.At, " ", rec.Event.Name(), " ", rec.Event.Get("Cause")))
		case rec.Gap != nil:
			all = append(all, fmt.Sprintf("%v %+v", rec.At, *rec.Gap))
		case rec.End != nil:
			all = append(all, fmt.Sprintf("%v %+v", rec.At, *rec.End))
		default:
			all = append(all, fmt.Sprint(rec.At, " ", rec.Lost))
		}
	}
}

func TestReader(t *testing.T) {
	r, err := recording.NewReader(strings.NewReader(whole))
	require.NoError(t, err)
	want := head
	want.Version = 1
	require.Equal(t, want, r.Header())
	all, err := read(r)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []string{
		"412.031ms Hangup 17", "1s 12", "1.0041s {From:1 To:2 DownMS:812.4 Reason:EOF}",
		"1m0s {Events:1 Lost:12 Gaps:1 Discarded:0}",
	}, all)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}

// TestCutOff: a recording that stops anywhere is good up to there.
func TestCutOff(t *testing.T) {
	counts := make(map[int]bool)
	for n := len(headLine); n < len(whole); n++ {
		r, err := recording.NewReader(strings.NewReader(whole[:n]))
		require.NoError(t, err)
		all, err := read(r)
		require.ErrorIs(t, err, recording.ErrCut, "after %d bytes", n)
		counts[len(all)] = true
		_, err = r.Next()
		require.ErrorIs(t, err, recording.ErrCut)
	}
	require.Len(t, counts, 4)
}

func TestReaderRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		line       int
		offset     int64
		says       string
	}{
		{"nothing", "", 1, 0, "no recording"},
		{"no line", "{", 1, 0, "no recording"},
		{"no object", "hello\n", 1, 0, "no recording"},
		{"another object", "{}\n", 1, 0, "no recording"},
		{"a long line", strings.Repeat("x", 1<<20), 1, 0, "longer than"},
		{"another version", `{"ami_recording":2}` + "\n", 1, 0, "version 2"},
		{"no record", headLine + "hello\n", 2, 108, "must be @"},
		{"an empty line", headLine + "\n", 2, 108, "must be @"},
		{"unknown record", headLine + "@ 1.000 note x\n", 2, 108, "unknown record"},
		{"no decimals", headLine + "@ 1 lost 1\n", 2, 108, "the time"},
		{"two decimals", headLine + "@ 1.00 lost 1\n", 2, 108, "the time"},
		{"negative time", headLine + "@ -1.000 lost 1\n", 2, 108, "the time"},
		{"time out of range", headLine + "@ 99999999999999.000 lost 1\n", 2, 108, "the time"},
		{"none lost", headLine + "@ 1.000 lost 0\n", 2, 108, "lost needs"},
		{"no gap", headLine + "@ 1.000 gap 3\n", 2, 108, "gap needs"},
		{"no end", headLine + "@ 1.000 end null\n", 2, 108, "end needs"},
		{"no size", headLine + "@ 1.000 event x\n", 2, 108, "the size"},
		{"size 0", headLine + "@ 1.000 event 0\n", 2, 108, "the size"},
		{"a huge size", headLine + "@ 1.000 event 99999999\n", 2, 108, "the size"},
		{"too small a size", headLine + "@ 1.000 event 47\n" + hangup, 2, 108, "are not one message"},
		{"too large a size", headLine + "@ 1.000 event 70\n" + hangup + "@ 1.000 event 49\n" + hangup, 2, 108, "are not one message"},
		{"two messages", headLine + "@ 1.000 event 98\n" + hangup + hangup, 2, 108, "are not one message"},
		{"behind a message", headLine + "@ 1.000 event 49\n" + hangup + "x\n", 7, 174, "must be @"},
		{"behind the end", whole + "x", 10, int64(len(whole)), "something follows"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := recording.NewReader(strings.NewReader(tc.text))
			if err == nil {
				_, err = read(r)
			}
			var e *recording.FormatError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.line, e.Line)
			require.Equal(t, tc.offset, e.Offset)
			require.ErrorContains(t, e, tc.says)
		})
	}
}

// FuzzReader: anything is read without a panic and to an end; what is read can be
// written, and is then the same.
func FuzzReader(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(headLine + "@ 1.000 event 49\n" + hangup[:20]))
	f.Add([]byte(headLine + "@ 1.000 event 16777216\nEvent: x\n\n"))
	f.Add([]byte(`{"ami_recording":1}` + "\n@ 0.001 event 10\nEvent: x\n\n@ 0.000 end {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := recording.NewReader(bytes.NewReader(data))
		if err != nil {
			var e *recording.FormatError
			require.ErrorAs(t, err, &e)
			return
		}
		var b bytes.Buffer
		w, err := recording.NewWriter(&b, r.Header())
		if err != nil {
			return // a header that is longer with its blanks escaped
		}
		var first []string
		for {
			rec, err := r.Next()
			if err != nil {
				var e *recording.FormatError
				require.True(t, errors.Is(err, io.EOF) || errors.Is(err, recording.ErrCut) || errors.As(err, &e), "%v", err)
				if e != nil {
					require.Positive(t, e.Line)
					require.LessOrEqual(t, e.Offset, int64(len(data)))
				}
				break
			}
			first = append(first, fmt.Sprint(rec.At))
			switch {
			case rec.Event != nil:
				require.NoError(t, w.Event(rec.At, rec.Event.Wire()))
			case rec.Gap != nil:
				require.NoError(t, w.Gap(rec.At, *rec.Gap))
			case rec.End != nil:
				require.NoError(t, w.End(rec.At, *rec.End))
			default:
				require.NoError(t, w.Lost(rec.At, rec.Lost))
			}
		}
		require.NoError(t, w.Flush())
		again, err := recording.NewReader(&b)
		require.NoError(t, err)
		for _, at := range first {
			rec, err := again.Next()
			require.NoError(t, err)
			require.Equal(t, at, fmt.Sprint(rec.At))
		}
	})
}

func write(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// TestFile: it can be read again and again, and stopped in the middle.
func TestFile(t *testing.T) {
	f, err := recording.Open(write(t, t.TempDir(), "x", []byte(whole)))
	require.NoError(t, err)
	require.Equal(t, "pbx1", f.Header().Node)
	for range 2 {
		n := 0
		for _, err := range f.Records() {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 4, n)
		for _, err := range f.Records() {
			require.NoError(t, err)
			break
		}
	}
	cut := write(t, t.TempDir(), "cut", []byte(whole[:len(whole)-1]))
	f, err = recording.Open(cut)
	require.NoError(t, err)
	for _, e := range f.Records() {
		err = e
	}
	require.ErrorIs(t, err, recording.ErrCut)
	require.ErrorContains(t, err, cut+": recording: cut off")
	require.NoError(t, os.Remove(cut))
	for _, err := range f.Records() {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	_, err = recording.Open(cut)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = recording.Open(write(t, t.TempDir(), "none", []byte("hello\n")))
	require.ErrorContains(t, err, "line 1")
}

// TestTimelines: pairs of files of what servers sent, and when, with each message at
// the time of its last byte.
func TestTimelines(t *testing.T) {
	counts := captures.Expected()
	for _, name := range captures.Names() {
		if strings.HasPrefix(name, "6-flood-userevent") || name == "7-stop-reading-slow" {
			continue // they have no times
		}
		dir := t.TempDir()
		var text strings.Builder
		var last time.Duration
		for _, c := range captures.Timeline(name) {
			kind := "C"
			if c.Server {
				kind, last = "S", c.At
			}
			if c.EOF {
				kind = "EOF"
			}
			fmt.Fprintf(&text, "%.6f %s %d\n", c.At.Seconds(), kind, len(c.Bytes))
		}
		write(t, dir, name+".server", captures.Server(name))
		f, err := recording.Open(write(t, dir, name+".timeline", []byte(text.String())))
		require.NoError(t, err, name)
		require.Equal(t, counts[name].Banner, f.Header().Banner, name)
		n, at := 0, time.Duration(0)
		for rec, err := range f.Records() {
			require.NoError(t, err, name)
			require.GreaterOrEqual(t, rec.At, at, name)
			at, n = rec.At, n+1
		}
		require.Equal(t, counts[name].Messages, n, name)
		require.LessOrEqual(t, at, last+time.Microsecond, name)
	}
}

func TestTimelineRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, says string }{
		{"nothing", "", "more bytes than the timeline says"},
		{"too little", "0.1 S 3\n", "line 2 (byte 8): the server has sent more bytes"},
		{"no numbers", "0.1 S many\n", "line 1 (byte 0): must be seconds"},
		{"no time", "now S 100\n", "must be seconds"},
		{"NaN", "NaN S 100\n", "must be seconds"},
		{"two fields", "1 C 3\n0.1 S\n", "line 2 (byte 6): must be seconds"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "x.server", []byte("Asterisk Call Manager/1\r\n"+hangup))
			f, err := recording.Open(write(t, dir, "x.timeline", []byte(tc.text)))
			require.NoError(t, err)
			for _, e := range f.Records() {
				err = e
			}
			require.ErrorContains(t, err, tc.says)
		})
	}
	_, err := recording.Open(filepath.Join(t.TempDir(), "x.timeline"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = recording.Open(write(t, t.TempDir(), "x.timeline", nil))
	require.ErrorIs(t, err, os.ErrNotExist)
}
