package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

const (
	errPipe = syscall.EPIPE
	errFull = syscall.ENOSPC
)

// TestColours: on a terminal only, and not if the user wants none.
func TestColours(t *testing.T) {
	master, tty, err := pty.Open()
	require.NoError(t, err)
	defer func() { _ = master.Close(); _ = tty.Close() }()
	r, pipe, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close(); _ = pipe.Close() }()
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	none := func(string) string { return "" }
	require.True(t, coloured(tty, none))
	require.False(t, coloured(pipe, none))
	require.False(t, coloured(file, none))
	require.False(t, coloured(new(strings.Builder), none))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = null.Close() }()
	require.Same(t, tty, terminal(tty, none))
	for _, w := range []io.Writer{pipe, file, null, new(strings.Builder)} {
		require.Nil(t, terminal(w, none), "no cursor to move")
	}
	require.Nil(t, terminal(tty, func(string) string { return "dumb" }))
	for name, value := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		require.False(t, coloured(tty, func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}), name)
	}
	require.Equal(t, "\x1b[31mx\x1b[0m", (&output{colour: true}).paint(red, "x"))
	require.Equal(t, "x", (&output{colour: true}).paint(plain, "x"))
	require.Equal(t, "x", (&output{}).paint(red, "x"))
}

// onTerminal runs a process of the command on a terminal and returns what that
// shows.
func onTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	master, err := pty.Start(cmd)
	require.NoError(t, err)
	var b strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := master.Read(buf)
		b.Write(buf[:n])
		if err != nil { // EIO at the end
			break
		}
	}
	require.NoError(t, master.Close())
	_ = cmd.Wait() // the test looks at what was shown
	return b.String()
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"Jörg «x» 漢":           "Jörg «x» 漢",
		"\x1b[2Jhidden":        `\x1b[2Jhidden`,
		"a\tb\r\nc":            `a\tb\x0d\x0ac`,
		"bad \xff\xfe":         `bad \xff\xfe`,
		"replaced \uFFFD":      "replaced \uFFFD",
		"right to left \u202e": `right to left \u202e`,
		"C1 \u009b2J":          `C1 \u009b2J`,
		"DEL \x7f":             `DEL \x7f`,
	} {
		require.Equal(t, want, clean(in), "%q", in)
	}
}

// TestJSONIsHarmless: what a terminal would obey is escaped, and nothing is changed.
func TestJSONIsHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"Jörg «x» 漢 \U0001F600":       `"Jörg «x» 漢 😀"`,
		"\x1b[2J":                     `"\u001b[2J"`,
		"C1 \u009b2J":                 `"C1 \u009b2J"`,
		"DEL \x7f":                    `"DEL \u007f"`,
		"right to left \u202e":        `"right to left \u202e"`,
		"beyond \U000E0001 the basic": `"beyond \udb40\udc01 the basic"`,
	} {
		var b bytes.Buffer
		o := newOutput(&b, nil)
		o.object(in)
		o.flush()
		require.Equal(t, want+"\n", b.String())
		var back string
		require.NoError(t, json.Unmarshal(b.Bytes(), &back))
		require.Equal(t, in, back)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[31m\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range clean(s) {
			require.False(t, r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e, "%q", s)
		}
	})
}
