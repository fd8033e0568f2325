package frame_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

// endless is a head and then the same piece over and over, cut anywhere by the
// reads. It notes the most memory that its reader held at any read.
type endless struct {
	head, piece string
	many        string // the piece, many times
	at          int    // in many
	left        int    // bytes
	reader      *frame.Reader
	held        int
}

func (e *endless) Read(p []byte) (int, error) {
	e.held = max(e.held, e.reader.Held())
	if e.left <= 0 {
		return 0, io.EOF
	}
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.many == "" {
		e.many = strings.Repeat(e.piece, 1+100_000/len(e.piece))
	}
	n := copy(p, e.many[e.at:])
	e.at = (e.at + n) % len(e.many)
	e.left -= n
	return n, nil
}

// TestMemoryIsBounded shows that what a reader holds while 50 MB of one kind of
// nonsense arrive, or a million lines of it, stays near its limits, and that a
// good frame behind them is read (B2, B3).
func TestMemoryIsBounded(t *testing.T) {
	const total = 50 << 20
	for name, tc := range map[string]struct {
		head, piece string
		errors      int // at most
	}{
		"no line feed":                  {"", "xxxxxxxx", 1},
		"no line feed in a value":       {"Event: A\r\nK: ", "xxxxxxxx", 1},
		"carriage returns":              {"", "\r", 1},
		"NULs":                          {"", "\x00", 1},
		"headers":                       {"Event: A\r\n", "K: v\r\n", 1},
		"long headers":                  {"Event: A\r\n", strings.Repeat("K", 1022) + "\r\n", 1},
		"no colons":                     {"", "abc\n", 1},
		"first headers":                 {"", "Event: A\r\n", 1},
		"output headers":                {"Response: Success\r\n", "Output: abc\r\n", 1},
		"empty output headers":          {"Response: Success\r\n", "Output:\n", 1},
		"raw output":                    {"Response: Follows\r\n", "some output\n\n", 1},
		"raw output, blank lines":       {"Response: Follows\r\n", "\n", 1},
		"raw output, one line":          {"Response: Follows\r\n", "x", 1},
		"raw output, end marks":         {"Response: Follows\r\n", "--END COMMAND--\r\nx\n", 1},
		"raw output, an endless event":  {"Response: Follows\r\nx\n\nEvent: ", "x", 1},
		"blank lines":                   {"", "\r\n", 0},
		"one malformed after another":   {"", strings.Repeat("K: v\r\n", 200) + "\r\n", total},
		"raw output that does not end":  {"", "Response: Follows\r\nx\n\r\n", total},
		"good frames":                   {"", "Event: A\r\nK: v\r\n\r\n", 0},
		"good frames, almost too large": {"", "Event: A\r\n" + strings.Repeat(strings.Repeat("K", 1022)+"\r\n", 63) + "\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			const good = "\r\n\r\n--END COMMAND--\r\n\r\nEvent: Good\r\n\r\n"
			left := total
			if lines := strings.Count(tc.piece, "\n"); lines > 0 {
				left = min(left, 1_000_000*len(tc.piece)/lines)
			}
			src := &endless{head: tc.head, piece: tc.piece, left: left}
			src.reader = frame.NewReader(io.MultiReader(src, strings.NewReader(good)), small)
			seen, last := 0, (*frame.Frame)(nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for {
				f, err := src.reader.Next()
				if _, ok := errors.AsType[*frame.FormatError](err); ok {
					seen++
					continue
				}
				if err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
				last = f
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.LessOrEqual(t, src.held, most(small))
			require.LessOrEqual(t, seen, tc.errors)
			require.Equal(t, "Good", last.Name())
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
			runtime.KeepAlive(src)
		})
	}
}

// TestReaderMemory shows that an idle connection costs little and that the room
// for a large frame is given back, also in a flood (B2).
func TestReaderMemory(t *testing.T) {
	const idle, busy, kept = 4 << 10, 64 << 10, 64 << 10 // kept is of the table of lines
	event := "Event: A\r\nKey: value\r\n\r\n"
	src := &scripted{}
	r := frame.NewReader(src, frame.Limits{})
	next := func(bytes string) {
		t.Helper()
		src.reads = append(src.reads, bytes)
		_, err := r.Next()
		require.NoError(t, err)
	}
	require.Zero(t, r.Held(), "nothing before the first read")
	for range 1000 {
		next(event)
	}
	require.Less(t, r.Held(), idle+100, "an idle connection")
	next(event[:10] + strings.Repeat("x", 5000) + event[10:])
	require.Less(t, r.Held(), busy+100, "a read that fills the buffer makes it grow at once")
	require.Greater(t, r.Held(), busy-1)
	next(strings.Repeat("Event: A\r\n", 30_000) + "\r\n" + event[:5])
	require.Greater(t, r.Held(), 300_000)
	next(event[5:] + event[:5])
	require.Less(t, r.Held(), busy+kept, "it is given back although a part of the next message is there")
	next(event[5:])
	next(event)
	next(event)
	require.Less(t, r.Held(), idle+kept/4, "and a quiet line needs little again") // the table of lines may stay
}

// scripted gives out what is appended to it.
type scripted struct{ reads []string }

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; s.reads[0] == "" {
		s.reads = s.reads[1:]
	}
	return n, nil
}

// TestKeptFramesPinTheirOwnBytes keeps one small frame of each large buffer and
// finds that the buffers are gone.
func TestKeptFramesPinTheirOwnBytes(t *testing.T) {
	var kept []*frame.Frame
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 200 {
		event := fmt.Sprintf("Event: Small\r\nNumber: %d\r\n\r\n", i)
		noise := "Event: Noise\r\nPad: " + strings.Repeat("x", 100_000) + "\r\n\r\n"
		r := frame.NewReader(strings.NewReader(noise+event+noise), frame.Limits{})
		for range 3 {
			f, err := r.Next()
			require.NoError(t, err)
			if f.Name() == "Small" {
				kept = append(kept, f)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(200*1000), "bytes for 200 frames of 40 each")
	require.Len(t, kept, 200)
	require.Equal(t, "199", kept[199].Get("number"))
}

// TestFramesDoNotChange reads on with the same reader and finds the earlier
// frames, and the values taken from them, as they were.
func TestFramesDoNotChange(t *testing.T) {
	var stream strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&stream, "Event: E%d\r\nValue: v%d\r\n\r\n", i, i)
	}
	r := frame.NewReader(strings.NewReader(stream.String()), frame.Limits{})
	var frames []*frame.Frame
	var values []string
	for range 5000 {
		f, err := r.Next()
		require.NoError(t, err)
		frames, values = append(frames, f), append(values, f.Get("value"))
	}
	for i, f := range frames {
		require.Equal(t, fmt.Sprintf("Event: E%d\r\nValue: v%d\r\n\r\n", i, i), f.Wire())
		require.Equal(t, fmt.Sprintf("v%d", i), values[i])
	}
}

// TestSharedBuffersKeepTheLimit reads a large message with wide limits, so that its
// buffer is shared, and then one with narrow limits: it must not hold that buffer
// (B2).
func TestSharedBuffersKeepTheLimit(t *testing.T) {
	message := func(n int) string {
		return "Response: Success\r\n" + strings.Repeat("Output: "+strings.Repeat("x", 500)+"\r\n", n/510) + "\r\n"
	}
	narrow := frame.Limits{Line: 2000, Headers: 128, Frame: 64 << 10, Buffer: 70 << 10}
	for range 50 { // the pool may forget
		wide := frame.NewReader(strings.NewReader(message(1<<20)), frame.Limits{})
		_, err := wide.Next()
		require.NoError(t, err)
		_, err = wide.Next() // lets the large buffer go
		require.ErrorIs(t, err, io.EOF)

		r := frame.NewReader(strings.NewReader(message(69<<10)), narrow)
		_, err = r.Next()
		require.NoError(t, err)
		require.LessOrEqual(t, r.Held(), narrow.Buffer+4*256)
	}
}
