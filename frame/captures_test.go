package frame_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// cutOff names the recordings that end in the middle of a message: the client
// had stopped reading and Asterisk closed the session.
var cutOff = map[string]bool{"7-stop-reading-slow": true}

// TestRecordings shows that every recording of a real Asterisk parses without
// one byte lost, whatever the sizes of the reads (B1, B4, B5, B8).
func TestRecordings(t *testing.T) {
	expected := captures.Expected()
	for _, name := range captures.Names() {
		t.Run(name, func(t *testing.T) {
			stream := captures.Server(name)
			want := expected[name]
			require.Len(t, stream, want.Bytes)
			whole := read(t, name, strings.NewReader(string(stream)), stream)

			var got captures.Counts
			got.Bytes, got.LinesOfCutTail = want.Bytes, want.LinesOfCutTail
			got.Banner = whole.banner
			for _, f := range whole.frames {
				got.Messages++
				switch f.Kind() {
				case frame.Response:
					got.Responses++
				case frame.Event:
					got.Events++
				default:
					got.Other++
				}
				for key := range f.All() {
					if key == "" {
						got.LinesWithoutColon++
					} else {
						got.LinesWithColon++
					}
				}
			}
			require.Equal(t, want, got)

			if len(stream) > 100_000 && testing.Short() {
				return
			}
			wires, rounds := whole.wires(), 1
			if len(stream) < 2_000_000 { // the floods are the same event over and over
				rounds = 5
				sameWires(t, wires, read(t, name, iotest.OneByteReader(strings.NewReader(string(stream))), stream).wires(), "one byte at a time")
			}
			rnd := rand.New(rand.NewPCG(1, uint64(len(stream))))
			for range rounds {
				sameWires(t, wires, read(t, name, &randomReader{string(stream), rnd}, stream).wires(), "random splits")
			}
		})
	}
}

// sameWires compares what was read twice. It is require.Equal, which takes its time
// with many thousands of frames, for the case of a difference alone.
func sameWires(t *testing.T, want, got []string, how string) {
	t.Helper()
	if !slices.Equal(want, got) {
		require.Equal(t, want, got, how)
	}
}

type recording struct {
	banner string
	frames []*frame.Frame
}

func (r recording) wires() []string {
	wires := []string{r.banner}
	for _, f := range r.frames {
		wires = append(wires, f.Wire())
	}
	return wires
}

// read parses a whole stream and checks that the frames and the blank lines
// between them are all of it.
func read(t *testing.T, name string, src io.Reader, stream []byte) recording {
	t.Helper()
	r := frame.NewReader(src, frame.Limits{})
	var got recording
	var err error
	got.banner, err = r.Banner()
	if len(stream) == 0 { // authlimit: closed without a banner
		require.ErrorIs(t, err, io.EOF)
		return got
	}
	require.NoError(t, err)
	end := r.Offset()
	for {
		f, err := r.Next()
		if err != nil {
			want := io.EOF
			if cutOff[name] {
				want = io.ErrUnexpectedEOF
			}
			require.ErrorIs(t, err, want)
			var malformed *frame.FormatError
			require.NotErrorAs(t, err, &malformed)
			break
		}
		start := r.Offset() - int64(len(f.Wire()))
		// Without require: these are most of the time of the test.
		if between := string(bytes.Trim(stream[end:start], "\r\n")); between != "" {
			t.Fatalf("not only blank lines between messages: %q", between)
		}
		if string(stream[start:r.Offset()]) != f.Wire() {
			t.Fatalf("want %q, got %q", stream[start:r.Offset()], f.Wire())
		}
		end = r.Offset()
		got.frames = append(got.frames, f)
	}
	if !cutOff[name] {
		require.Empty(t, strings.Trim(string(stream[end:]), "\r\n"))
	}
	return got
}

type randomReader struct {
	rest string
	rnd  *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(len(r.rest), 1+r.rnd.IntN(700))])
	r.rest = r.rest[n:]
	return n, nil
}
