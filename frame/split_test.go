package frame_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

// transcript reads all of a stream and tells everything about it: the bytes and
// headers of each frame, text and head of each *FormatError, the final error.
// It checks that frames and errors lie in the stream one behind the other.
func transcript(t *testing.T, src io.Reader, lim frame.Limits, stream string) (told []string) {
	t.Helper()
	r := frame.NewReader(src, lim)
	var end int64
	discarded := false
	for {
		f, err := r.Next()
		at := r.Offset()
		if at < end || at > int64(len(stream)) {
			t.Fatalf("offset %d after %d in a stream of %d", at, end, len(stream))
		}
		if malformed, ok := errors.AsType[*frame.FormatError](err); ok {
			head := "none"
			if malformed.Head != nil {
				head = describe(malformed.Head)
			}
			told = append(told, fmt.Sprintf("%v, head %s", malformed, head))
			end, discarded = at, true
			continue
		}
		if err != nil {
			return append(told, err.Error())
		}
		start := at - int64(len(f.Wire()))
		if start < end || stream[start:at] != f.Wire() {
			t.Fatalf("%q is not in the stream before %d", f.Wire(), at)
		}
		if gap := stream[end:start]; !discarded && strings.Trim(gap, "\r\n") != "" {
			t.Fatalf("%q is lost before %q", gap, f.Wire())
		}
		end, discarded = at, false
		if held := r.Held(); held > most(lim) {
			t.Fatalf("%d bytes held", held)
		}
		told = append(told, describe(f))
	}
}

// most is how much memory a reader may hold: its buffer, and an offset for each
// line, in slices that grow by doubling.
func most(lim frame.Limits) int {
	return lim.Frame + lim.Command + lim.Line + 2*4*(lim.Headers+lim.Command)
}

// describe puts a length before each text, which is as exact as quotes, and quick:
// it is called for each cut of each stream.
func describe(f *frame.Frame) string {
	b := []byte(f.String())
	add := func(s string) {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ':')
		b = append(b, s...)
	}
	add(f.Wire())
	for k, v := range f.All() {
		add(k)
		add(v)
	}
	return string(b)
}

// awkward are streams that a reader may take differently in different pieces.
var awkward = func() map[string]string {
	long := strings.Repeat("x", 1100) // above the limit
	const endMark = "--END COMMAND--"
	follows := "Response: Follows\r\nPrivilege: Command\r\nActionID: 7\r\n"
	tooMuch := follows + strings.Repeat(long[:900]+"\n", 5)
	return map[string]string{
		"line ends mixed":                      "Event: A\r\nK: v\n\nEvent: B\nK: v\r\n\r\nEvent: C\r\nK: v\r\n\nEvent: D\nK: v\n\r\n",
		"blank lines and CRs astray":           "\r\n\n\r\nEvent: A\r\nK: v\rw\r\r\n\r\n\r\n\r\n\n\nEvent: B\r\n\r\n\r\n",
		"bytes of no encoding":                 "\xff\xfe\x00\r\nEvent: \xc3\xa9\xc3\r\nK\x00: \x80\r\n\r\n",
		"command in both forms":                follows + " a: 1\n\n  b\nc" + endMark + "\r\n\r\nResponse: Success\r\nOutput:  a: 1\r\nOutput: \r\nOutput:   b\r\n\r\n",
		"line at the limit":                    "Event: A\r\nK: " + long[:1021] + "\r\n\r\nEvent: B\nK: " + long[:1021] + "\n\n",
		"line one above":                       "Response: Success\r\nActionID: 7\r\nK: " + long[:1022] + "\r\nmore: 1\r\n\r\nEvent: B\r\n\r\n",
		"line one above, LF":                   "Event: A\nK: " + long[:1022] + "\n\nEvent: B\n\n",
		"line one above is the last":           "Event: A\r\nK: " + long[:1022] + "\r\n\r\nEvent: B\r\n\r\n",
		"line two above, a CR in its end":      "Event: A\r\nK: " + long[:1022] + "\r\r\n\r\nEvent: B\r\n\r\n",
		"line far above":                       "Event: A\r\nK: " + strings.Repeat(long, 4) + "\r\n\r\nEvent: B\r\n\r\n",
		"first line above":                     long + "\r\nK: v\r\n\r\nEvent: B\r\n\r\n",
		"long raw line":                        follows + "a\n" + long + "\nb\n\nc\n" + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"end mark behind a long raw line":      follows + long + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"end mark behind a longer one":         follows + long + long + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"end mark, LF, behind a long raw line": follows + long + endMark + "\n\nEvent: B\r\n\r\n",
		"end mark text before a long raw line": follows + endMark + "\n" + long + "\n\nb\n" + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"long raw line like an event":          follows + "a\n\n" + long + "Event: 1\r\nK: v\r\n" + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"long event after a blank raw line":    follows + "a\n\nEvent: " + long + "\r\nK: v\r\n\r\n" + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"too much output, ended":               tooMuch + endMark + "\r\n\r\nEvent: B\r\n\r\n",
		"too much output, not ended":           tooMuch + "\r\nEvent: CoreShowChannelMapComplete\r\nK: v\r\n\r\nEvent: B\r\n\r\n",
		"too much output, a response behind":   tooMuch + "\r\nResponse: Success\r\nActionID: " + long[:900] + "\r\n\r\nEvent: B\r\n\r\n",
		"too much output, long lines behind":   tooMuch + "\r\n" + long + "Event: 123\r\nEvent: no\r\n\r\nEvent: " + long + "\r\n\r\nEvent: yes\r\n\r\n",
		"output not ended":                     follows + "a\n\nEvent: B\r\nK: v\r\n\r\nResponse: Success\r\n\r\n",
		"output not ended, no output":          "Response: Follows\r\n\r\nEvent: B\r\nK: v\r\n\r\n",
		"output looks like an event":           follows + "a\n\nEvent: B\n\nResponse: C\n\n" + endMark + "\r\n\r\n",
		"too many headers":                     "Event: A\r\n" + strings.Repeat("K: v\r\n", 140) + "\r\nEvent: B\r\n\r\n",
		"too much output in headers":           "Response: Success\r\nActionID: 7\r\n" + strings.Repeat("Output: "+long[:900]+"\r\n", 5) + "\r\nEvent: B\r\n\r\n",
		"end in a line":                        "Event: A\r\n\r\nEvent: B\r\nK: v",
		"end in a discarded frame":             "Event: A\r\nK: " + long,
		"end in raw output":                    follows + "a\n",
	}
}()

// TestSplits shows that it does not matter where the reads cut the stream: every
// stream is cut in two at each byte, read byte by byte, in halves, at random,
// and with the end reported along with the last bytes (B1, B3, B7, B8).
func TestSplits(t *testing.T) {
	const goodbye = "\r\n\r\n--END COMMAND--\r\n\r\nEvent: Last\r\nK: v\r\n\r\n"
	for name, stream := range awkward {
		t.Run(name, func(t *testing.T) {
			for _, stream := range []string{stream, stream + goodbye} {
				want := transcript(t, strings.NewReader(stream), small, stream)
				if strings.HasSuffix(stream, "\r\n\r\nEvent: B\r\n\r\n") {
					require.Contains(t, want[len(want)-2], "Event: B")
				}
				if strings.HasSuffix(stream, goodbye) {
					require.Contains(t, want[len(want)-2], "Event: Last")
					require.Equal(t, "EOF", want[len(want)-1])
				}
				for i := range stream {
					if len(stream) > 4000 && i < 4000 && i%17 != 0 {
						continue // not every byte of the long ones, before the limit
					}
					src := io.MultiReader(strings.NewReader(stream[:i]), strings.NewReader(stream[i:]))
					if got := transcript(t, src, small, stream); !slices.Equal(want, got) {
						t.Fatalf("cut at %d:\n%q\n%q", i, want, got)
					}
				}
				for how, split := range splits {
					require.Equal(t, want, transcript(t, split(strings.NewReader(stream)), small, stream), how)
				}
				rnd := rand.New(rand.NewPCG(1, uint64(len(stream))))
				for range 20 {
					require.Equal(t, want, transcript(t, &randomReader{stream, rnd}, small, stream), "random splits")
				}
			}
		})
	}
}

// TestSplitsAtTheBuffer is TestSplits for frames that take all of the buffer.
func TestSplitsAtTheBuffer(t *testing.T) { // B2
	lim := frame.Limits{Line: 2000, Headers: 128, Frame: 64 << 10, Buffer: 64<<10 + 4}
	room := lim.Buffer - len("Response: Success\r\n") - len("\r\n")
	line := "Output: " + strings.Repeat("x", 512-10) + "\r\n"
	output := func(n int) string { // n bytes of it
		last := n%len(line) + len(line)
		return strings.Repeat(line, n/len(line)-1) + line[:8] + strings.Repeat("x", last-10) + "\r\n"
	}
	for name, tc := range map[string]struct {
		body string
		good bool
	}{
		"one below":       {output(room - 1), true},
		"at the limit":    {output(room), true},
		"one above":       {output(room + 1), false},
		"at a line's end": {output(room + 2), false},
		"far above":       {output(2 * room), false},
		"a long line":     {output(room-1900) + "K: " + strings.Repeat("x", 1997) + "\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			stream := "Response: Success\r\n" + tc.body + "\r\nEvent: B\r\n\r\n"
			want := transcript(t, strings.NewReader(stream), lim, stream)
			require.Len(t, want, 3)
			require.Equal(t, !tc.good, strings.HasPrefix(want[0], "frame: frame larger than the buffer (limit 65540) in response \"Success\";"))
			require.Contains(t, want[1], "Event: B")
			for how, split := range splits {
				require.True(t, slices.Equal(want, transcript(t, split(strings.NewReader(stream)), lim, stream)), how)
			}
			rnd := rand.New(rand.NewPCG(1, uint64(len(stream))))
			for range 20 {
				require.True(t, slices.Equal(want, transcript(t, &randomReader{stream, rnd}, lim, stream)), "random splits")
			}
		})
	}
}
