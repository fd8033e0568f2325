package frame_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// asterisk reads actions as main/manager.c does, function get_input: a buffer of
// 1024 bytes, lines that end in CR LF or LF, each a C string; then do_message:
// 128 headers, and a blank line ends the action.
func asterisk(sent []byte) (actions [][]string) {
	var headers []string
	for len(sent) > 0 {
		buffer := sent[:min(len(sent), 1024)]
		end := bytes.IndexByte(buffer, '\n')
		if end < 0 {
			return append(actions, []string{"line too long, or not ended"})
		}
		line := string(bytes.TrimSuffix(buffer[:end], []byte("\r")))
		line, _, _ = strings.Cut(line, "\x00")
		sent = sent[end+1:]
		switch {
		case line == "":
			actions, headers = append(actions, headers), nil
		case len(headers) == 128:
			return append(actions, []string{"too many lines"})
		default:
			headers = append(headers, line)
		}
	}
	if headers != nil {
		actions = append(actions, []string{"not ended"})
	}
	return actions
}

// FuzzAppendAction: whatever the input, the bytes are exactly one action with
// exactly these headers, or there is a typed error and no byte (B6). The second
// field is there once and then for each byte of its value but the first ten.
func FuzzAppendAction(f *testing.F) {
	f.Add("Ping", "ActionID", "1", "", "")
	f.Add("Originate", "Variable", "a=1\r\nAction: x", "Variable", "b")
	f.Add("A\r\n\r\nAction: B", "a:b", "\x00", "Action", "x")
	f.Add("A", "K", strings.Repeat("x", 1019), "L", strings.Repeat("y", 1020))
	f.Add("A", "K", "v", "L", strings.Repeat("y", 10+125))
	f.Add("A", "K", "v", "L", strings.Repeat("y", 10+126))
	f.Fuzz(func(t *testing.T, name, k1, v1, k2, v2 string) {
		fields := []frame.Field{{Key: k1, Value: v1}, {Key: k2, Value: v2}}
		for range len(v2) - 10 {
			fields = append(fields, fields[1])
		}
		dst := append(make([]byte, 0, 64), "before"...)
		got, err := frame.AppendAction(dst, name, fields)
		rest, ok := bytes.CutPrefix(got, []byte("before"))
		if !ok {
			t.Fatalf("dst has become %q", got)
		}
		if err != nil {
			if _, ok := errors.AsType[*frame.EncodeError](err); !ok || len(rest) != 0 {
				t.Fatalf("%d bytes and %v", len(rest), err)
			}
			return
		}
		actions := asterisk(rest)
		if len(actions) != 1 || len(actions[0]) != 1+len(fields) {
			t.Fatalf("%q is read as %q", rest, actions)
		}
		for i, want := range append([]frame.Field{{Key: "Action", Value: name}}, fields...) {
			key, value, _ := strings.Cut(actions[0][i], ":")
			if key != want.Key || value != " "+want.Value {
				t.Fatalf("%q is read as %q", rest, actions)
			}
			if i > 0 && strings.EqualFold(key, "Action") {
				t.Fatalf("two names in %q", rest)
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
	if c.rest == "" {
		return 0, io.EOF
	}
	size := 1
	if c.sizes != "" {
		size += int(c.sizes[c.n%len(c.sizes)])
		c.n++
	}
	n := copy(p, c.rest[:min(size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

// FuzzReader: no panic, bounded memory, the same frames and errors whatever the
// sizes of the reads, all bytes taken from the stream in order, every header
// found by its name, and a good frame behind the input is read (B1 to B4, B7,
// B8).
func FuzzReader(f *testing.F) {
	for _, name := range []string{"2-ping", "2-command-unknown", "3-iaxpeers", "3-iaxnetstats", "3-queuerule", "4-userevent", "5-errors", "8-pjsip-notify"} {
		f.Add(string(captures.Server(name)), "\x00\x10")
	}
	for _, stream := range awkward {
		f.Add(stream, "\x07\x00\xff")
	}
	f.Add(strings.Repeat("Output: x\r\n", 500), "\xff")
	f.Add(strings.Repeat("x", 3000), "\x00")
	const good = "Event: Good\r\nK: v\r\n\r\n"
	// An open Response: Follows needs its end mark, and the mark a whole line.
	const rescue = "\r\n\r\n\r\n\r\n--END COMMAND--\r\n\r\n"
	f.Fuzz(func(t *testing.T, input, sizes string) {
		stream := input + rescue + good
		whole := transcript(t, strings.NewReader(stream), small, stream)
		split := transcript(t, &chunked{rest: stream, sizes: sizes}, small, stream)
		if !slices.Equal(whole, split) {
			t.Fatalf("split differently:\n%q\n%q", whole, split)
		}
		last, err := frame.Parse(good)
		if err != nil || len(whole) < 2 || whole[len(whole)-2] != describe(last) || whole[len(whole)-1] != "EOF" {
			t.Fatalf("the good frame is lost: %q", whole)
		}
		if f, err := frame.Parse(input); err == nil && f.Len() < 200 {
			found(t, f)
		}
	})
}

// found checks that the values of each header are found by its name in any case, and
// that the short cuts lead to the same.
func found(t *testing.T, f *frame.Frame) {
	t.Helper()
	if got, want := f.ActionID(), f.Get("ActionID"); got != want {
		t.Fatalf("ActionID is %q, noted as %q", want, got)
	}
	for c := f.Backward(); c.Left() > 0; {
		wantKey, wantValue := f.At(c.Left() - 1)
		if key, value := c.Prev(); key != wantKey || value != wantValue {
			t.Fatalf("line %d is %q: %q, backwards %q: %q", c.Left(), wantKey, wantValue, key, value)
		}
	}
	for name := range f.All() {
		var want []string
		for k, v := range f.All() {
			if upper(k) == upper(name) {
				want = append(want, v)
			}
		}
		for _, key := range []string{name, upper(name)} {
			if got := f.Values(key); !slices.Equal(want, got) {
				t.Fatalf("header %q is %q, found %q", key, want, got)
			}
			if got, ok := f.Lookup(key); !ok || got != want[0] {
				t.Fatalf("header %q is %q, found %q", key, want[0], got)
			}
		}
	}
}

// upper is bytes.ToUpper for ASCII alone.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 32
		}
	}
	return string(b)
}
