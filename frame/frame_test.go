package frame_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
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
	require.Equal(t, "text (0 lines)", f.String())
	require.Equal(t, "<nil frame>", (*frame.Frame)(nil).String())
	_, err := frame.Parse("\r\n")
	require.ErrorIs(t, err, io.EOF)
}

func TestFramesPrintNoValues(t *testing.T) { // G2
	f := parse(t, "Event: AuthDetail\r\nPassword: canary")
	nested := struct{ F *frame.Frame }{f}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, `event "AuthDetail" (2 headers)`, fmt.Sprintf(verb, f))
		require.NotContains(t, fmt.Sprintf(verb, nested), "canary")
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "frame", f, "nested", nested)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "frame", f, "nested", nested)
	require.NotContains(t, log.String(), "canary")
	require.Contains(t, parse(t, "Event: "+string(make([]byte, 100))).String(), "…")
}
