package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

func parse(t *testing.T, wire string) *frame.Frame {
	t.Helper()
	f, err := frame.Parse(wire)
	require.NoError(t, err)
	return f
}

func TestHeaders(t *testing.T) { // B4
	f := parse(t, "Event: Newchannel\r\nUniqueID: 1.2\r\nVariable: a=1\r\nvariable: b=2\r\nEmpty:\r\nK\u212a: kelvin\r\nnothing")
	require.Equal(t, "Newchannel", f.Name())
	require.Equal(t, "1.2", f.Get("uniqueid"))
	require.Equal(t, "a=1", f.Get("VARIABLE"))
	require.Equal(t, []string{"a=1", "b=2"}, f.Values("Variable"))
	require.Nil(t, f.Values("Absent"))
	require.Equal(t, []string{"nothing"}, f.Values(""))
	_, ok := f.Lookup("Empty")
	require.True(t, ok)
	_, ok = f.Lookup("Absent")
	require.False(t, ok)
	require.Empty(t, f.Get("kk"), "ASCII only")
	n := 0
	for range f.All() {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
}

func TestAt(t *testing.T) { // B4: what All yields, line by line
	for _, wire := range []string{
		"Event: A\r\nno colon\r\nEmpty:\r\nTwo:  blanks\nB:c: d\r\n",
		"Response: Follows\r\nPrivilege: Command\r\none: 1\n\n  two\n--END COMMAND--",
	} {
		f := parse(t, wire)
		i := 0
		for wantKey, want := range f.All() {
			key, value := f.At(i)
			require.Equal(t, [2]string{wantKey, want}, [2]string{key, value})
			i++
		}
		require.Equal(t, f.Len(), i)
		require.Panics(t, func() { f.At(i) })
	}
	// What stands before the table of lines, and is not one of its entries.
	f := parse(t, "Event: A\r\nK: "+strings.Repeat("\x02\x00\x09\x00", 16))
	for i := -1; i > -50; i-- {
		require.Panics(t, func() { f.At(i) }, i)
	}
}

func TestCommandOutputForms(t *testing.T) { // B7
	old := parse(t, "Response: Follows\r\nPrivilege: Command\r\none: 1\n\n  two\n--END COMMAND--")
	now := parse(t, "Response: Success\r\nOutput: one: 1\r\nOutput: \r\nOutput:   two")
	require.Equal(t, []string{"one: 1", "", "  two"}, old.Values("output"))
	require.Equal(t, old.Values("Output"), now.Values("Output"))
	require.Empty(t, old.Get("one"), "raw output is no header")
	only := parse(t, "Response: Follows\r\n\nx: y\n--END COMMAND--")
	require.Equal(t, []string{"", "x: y"}, only.Values("Output"))
}

func TestZeroFrame(t *testing.T) {
	var f frame.Frame
	require.Zero(t, f.Len())
	require.Empty(t, f.Name())
	require.Empty(t, f.Get("x"))
	require.Empty(t, f.Values(""))
	require.Empty(t, f.Wire())
	require.Equal(t, frame.Other, f.Kind())
	for range f.All() {
		t.Error("no header")
	}
	require.Equal(t, "text (0 lines)", f.String())
	require.Equal(t, "<nil frame>", (*frame.Frame)(nil).String())
	_, err := frame.Parse("\r\n")
	require.ErrorIs(t, err, io.EOF)
}

// TestNames takes names that are almost that of a header (B4).
func TestNames(t *testing.T) {
	f := parse(t, "Event: A\r\n[x]@: 1\r\nNamed Callgroup: 2\r\na:b: 3\r\nK\r\n: 4\r\nChan: 5\r\n\xe9: 6\r\nTail: 7\r\nt:")
	for key, want := range map[string][]string{
		"event": {"A"}, "even": nil, "event ": nil, " event": nil, "events": nil,
		"[X]@": {"1"}, "{x}@": nil, "[x]`": nil,
		"NAMED CALLGROUP": {"2"},
		"A":               {"b: 3"}, "a:b": nil, "Event: A": nil,
		"":     {"K", "4"},
		"Chan": {"5"}, "Chan\r\n": nil, "Chan: 5\r\n\xe9": nil,
		"\xe9": {"6"}, "\xc9": nil,
		"tail": {"7"}, "T": {""}, "t\x00": nil,
		"Uniqueid of a very long name that no line has": nil,
	} {
		require.Equal(t, want, f.Values(key), "%q", key)
		v, ok := f.Lookup(key)
		require.Equal(t, len(want) > 0, ok, "%q", key)
		require.Equal(t, v, f.Get(key))
		if ok {
			require.Equal(t, want[0], v)
		}
	}
}

// TestParse parses what a recording, a test or a tool may hold.
func TestParse(t *testing.T) {
	for _, wire := range []string{"Event: A\r\nK: v", "Event: A\r\nK: v\r\n", "Event: A\r\nK: v\r\n\r\n", "\r\n\nEvent: A\nK: v\n\n\n"} {
		f := parse(t, wire)
		require.Equal(t, "A", f.Name())
		require.Equal(t, "v", f.Get("k"))
		require.Equal(t, 2, f.Len())
	}
	for _, blank := range []string{"", "\r\n", "\n\n\n"} {
		_, err := frame.Parse(blank)
		require.ErrorIs(t, err, io.EOF)
	}
	_, err := frame.Parse("Response: Follows\r\nx\n")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = frame.Parse("Event: " + strings.Repeat("x", 1<<20))
	_, ok := errors.AsType[*frame.FormatError](err)
	require.True(t, ok)
}

// TestFrameInManyGoroutines is for the race detector.
func TestFrameInManyGoroutines(t *testing.T) {
	f := parse(t, "Event: A\r\nVariable: a\r\nVariable: b\r\nnothing")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				_ = f.String() + f.Name() + f.Get("variable") + f.Wire() + fmt.Sprint(f.Values("Variable"), f.Kind(), f)
				for range f.All() {
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, []string{"a", "b"}, f.Values("variable"))
}

func TestACopiedFramePanics(t *testing.T) { // it would show what is behind it in memory
	f := parse(t, "Event: A\r\nB: canary\r\n")
	copied := reflect.New(reflect.TypeFor[frame.Frame]()) // behind the back of go vet
	copied.Elem().Set(reflect.ValueOf(f).Elem())
	c := copied.Interface().(*frame.Frame)
	for name, use := range map[string]func(){
		"Wire":   func() { c.Wire() },
		"Name":   func() { c.Name() },
		"Get":    func() { c.Get("B") },
		"Values": func() { c.Values("B") },
		"At":     func() { c.At(0) },
		"ActionID": func() {
			parsed := parse(t, "Event: A\r\nActionID: 1\r\n")
			copied.Elem().Set(reflect.ValueOf(parsed).Elem())
			c.ActionID()
		},
		"Backward": func() { c.Backward() },
		"All": func() {
			for range c.All() {
				continue
			}
		},
	} {
		require.PanicsWithValue(t, "frame: a copy of a Frame is used", use, name)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, copied.Elem().Interface()), "canary")

	var zero frame.Frame
	copied.Elem().Set(reflect.ValueOf(&zero).Elem())
	require.Empty(t, c.Wire()+c.Name()+c.Get("A"))
	require.Zero(t, c.Len())
	require.Equal(t, "text (0 lines)", c.String())
}

func TestFramesPrintNoValues(t *testing.T) { // G2
	const secret, text = "canary", `event "AuthDetail" (3 headers)`
	f := parse(t, "Event: AuthDetail\r\nPassword: canary\r\ncanary\r\n")
	type hidden struct{ f *frame.Frame }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%10.3v", "%!"} {
		if strings.ContainsAny(verb, "vsqxXdt") {
			require.Equal(t, text, fmt.Sprintf(verb, f), verb)
		}
		for _, nested := range []any{
			struct{ F *frame.Frame }{f},
			hidden{f: f},
			&hidden{f: f},
			[]*frame.Frame{f},
			map[string]*frame.Frame{"f": f},
			[]any{f},
			&frame.FormatError{Reason: frame.TooLarge, Limit: 1, Head: f},
			struct{ E frame.FormatError }{frame.FormatError{Head: f}},
			fmt.Errorf("wrapped: %w", &frame.FormatError{Head: f}),
		} {
			require.NotContains(t, fmt.Sprintf(verb, nested), secret, "%s of %T", verb, nested)
		}
	}
	require.Equal(t, text, fmt.Sprint(f))
	for _, h := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		var log bytes.Buffer
		slog.New(h(&log)).Info("x", "frame", f, "nested", struct{ F *frame.Frame }{f}, "hidden", hidden{f},
			"group", slog.GroupValue(slog.Any("f", f)), "nil", (*frame.Frame)(nil), "err", &frame.FormatError{Head: f})
		require.NotContains(t, log.String(), secret)
		require.Contains(t, log.String(), "AuthDetail")
		require.NotContains(t, log.String(), "panic")
	}
	require.Equal(t, "<nil frame>", fmt.Sprint((*frame.Frame)(nil)))
	require.Equal(t, "event", frame.Event.String())
	require.Equal(t, "response", frame.Response.String())
	require.Equal(t, "other", frame.Other.String())
	require.Equal(t, "text (2 lines)", parse(t, "canary\r\ncanary").String())
	require.Equal(t, "text (1 lines)", parse(t, "Secret: canary").String())
	require.Equal(t, `response "Success" (1 headers)`, parse(t, "Response: Success").String())
	require.Equal(t, `event "`+strings.Repeat(`\x00`, 64)+`"… (1 headers)`, parse(t, "Event: "+string(make([]byte, 100))).String())
}
