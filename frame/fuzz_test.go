package frame_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// asterisk reads actions as main/manager.c:get_input does: lines up to LF with
// an optional CR before it, at most 1024 bytes, cut at a NUL.
func asterisk(b []byte) (actions [][]string) {
	var lines []string
	for len(b) > 0 {
		i := strings.IndexByte(string(b), '\n')
		if i < 0 {
			return append(actions, []string{"unfinished"})
		}
		line := strings.TrimSuffix(string(b[:i]), "\r")
		if i+1 > 1024 {
			line = "too long"
		}
		line, _, _ = strings.Cut(line, "\x00")
		b = b[i+1:]
		if line != "" {
			lines = append(lines, line)
			continue
		}
		actions, lines = append(actions, lines), nil
	}
	if lines != nil {
		actions = append(actions, []string{"unfinished"})
	}
	return actions
}

// FuzzAppendAction: whatever the input, the bytes are exactly one action with
// exactly these headers, or there is a typed error and no byte (B6).
func FuzzAppendAction(f *testing.F) {
	f.Add("Ping", "ActionID", "1", "", "")
	f.Add("Originate", "Variable", "a=1\r\nAction: x", "Variable", "b")
	f.Add("A\r\n\r\nAction: B", "a:b", "\x00", "Action", "x")
	f.Add("A", "K", strings.Repeat("x", 1019), "L", strings.Repeat("y", 1020))
	f.Fuzz(func(t *testing.T, name, k1, v1, k2, v2 string) {
		fields := []frame.Field{{Key: k1, Value: v1}, {Key: k2, Value: v2}}
		got, err := frame.AppendAction(nil, name, fields)
		if err != nil {
			if _, ok := errors.AsType[*frame.EncodeError](err); !ok || len(got) != 0 {
				t.Fatalf("%d bytes and %v", len(got), err)
			}
			return
		}
		actions := asterisk(got)
		if len(actions) != 1 || len(actions[0]) != 3 {
			t.Fatalf("%q is read as %q", got, actions)
		}
		for i, want := range []string{"Action: " + name, k1 + ": " + v1, k2 + ": " + v2} {
			if actions[0][i] != want {
				t.Fatalf("%q is read as %q", got, actions)
			}
		}
	})
}

// chunked gives out a stream in pieces whose sizes come from another string.
type chunked struct {
	rest, sizes string
	n           int
}

func (c *chunked) Read(p []byte) (int, error) {
	size := 1
	if c.sizes != "" {
		size += int(c.sizes[c.n%len(c.sizes)])
		c.n++
	}
	return strings.NewReader(c.rest[:min(size, len(c.rest))]).Read(c.take(p, size))
}

func (c *chunked) take(p []byte, size int) []byte {
	n := min(size, len(p), len(c.rest))
	defer func() { c.rest = c.rest[n:] }()
	return p[:n]
}

// FuzzReader: no panic, the same messages whatever the sizes of the reads, all
// bytes taken from the stream in order, and a good frame behind the input is
// found again (B1, B2, B3, B8).
func FuzzReader(f *testing.F) {
	for _, name := range []string{"2-ping", "3-iaxpeers", "3-iaxnetstats", "4-userevent", "5-errors", "8-pjsip-notify"} {
		f.Add(string(captures.Server(name)), "\x00\x10")
	}
	f.Add("Response: Follows\r\nActionID: 1\r\na\n\nb\n--END COMMAND--\r\n\r\n", "\x01")
	f.Add("Response: Follows\r\nx\n\r\nEvent: A\r\n\r\n", "")
	f.Add(strings.Repeat("Output: x\r\n", 500), "\xff")
	f.Add(strings.Repeat("x", 3000), "\x00")
	const good = "Event: Good\r\nK: v\r\n\r\n"
	// An open Response: Follows needs its end mark, and the mark a whole line.
	const rescue = "\r\n\r\n--END COMMAND--\r\n\r\n\r\n\r\n"
	f.Fuzz(func(t *testing.T, input, sizes string) {
		stream := input + rescue + good
		whole := all(t, &chunked{rest: stream, sizes: "\xff\xff\xff\xff"}, stream)
		split := all(t, &chunked{rest: stream, sizes: sizes}, stream)
		if strings.Join(whole, "\x01") != strings.Join(split, "\x01") {
			t.Fatalf("split differently:\n%q\n%q", whole, split)
		}
		if len(whole) == 0 || whole[len(whole)-1] != good {
			t.Fatalf("the good frame is lost: %q", whole)
		}
	})
}

func all(t *testing.T, src *chunked, stream string) (got []string) {
	t.Helper()
	r := frame.NewReader(src, small)
	for {
		f, err := r.Next()
		if malformed, ok := errors.AsType[*frame.FormatError](err); ok {
			got = append(got, "!"+string(malformed.Reason))
			continue
		}
		if err != nil {
			return got
		}
		end := int(r.Offset())
		if start := end - len(f.Wire()); start < 0 || stream[start:end] != f.Wire() {
			t.Fatalf("%q is not in the stream at %d", f.Wire(), end)
		}
		for key := range f.All() {
			if _, ok := f.Lookup(key); !ok {
				t.Fatalf("header %q is not found again", key)
			}
		}
		got = append(got, f.Wire())
	}
}
