package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// A fakeTerminal is a pseudo-terminal and what a terminal would show of what is
// written to it: as much of it as "ami top" makes use of.
type fakeTerminal struct {
	master *os.File
	ended  chan struct{} // closed when nothing more comes

	mu            sync.Mutex
	cells         [][]string // "" is the right half of a wide character
	row, column   int
	alternate     bool
	cursor        bool
	noWrap, paste bool
	unknown       []string // sequences
	raw           strings.Builder
	changed       chan struct{} // one slot
}

// openTerminal runs a process of the command on a terminal of a size.
func openTerminal(t *testing.T, cmd *exec.Cmd, width, height int) *fakeTerminal {
	t.Helper()
	f := &fakeTerminal{ended: make(chan struct{}), cursor: true, changed: make(chan struct{}, 1)}
	f.clear(width, height)
	cmd.Env = append(cmd.Env, "TERM=xterm", "TZ=UTC")
	var err error
	f.master, err = pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	require.NoError(t, err)
	go f.read()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		<-f.ended
		_ = f.master.Close()
	})
	return f
}

func (f *fakeTerminal) clear(width, height int) {
	f.cells = make([][]string, height)
	for i := range f.cells {
		f.cells[i] = make([]string, width)
		for j := range f.cells[i] {
			f.cells[i][j] = " "
		}
	}
	f.row, f.column = 0, 0
}

func (f *fakeTerminal) read() {
	defer close(f.ended)
	buf, rest := make([]byte, 4096), ""
	for {
		n, err := f.master.Read(buf)
		f.mu.Lock()
		f.raw.Write(buf[:n])
		rest = f.show(rest + string(buf[:n]))
		f.mu.Unlock()
		select {
		case f.changed <- struct{}{}:
		default:
		}
		if err != nil { // EIO at the end
			return
		}
	}
}

// show shows a text and returns what is not complete yet.
func (f *fakeTerminal) show(text string) string {
	for text != "" {
		switch c := text[0]; {
		case c == '\x1b':
			if len(text) < 2 {
				return text
			}
			if text[1] != '[' {
				f.unknown = append(f.unknown, strconv.Quote(text[:2]))
				text = text[2:]
				continue
			}
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				return text
			}
			f.control(text[2:2+end], text[2+end])
			text = text[3+end:]
		case c == '\r':
			f.column, text = 0, text[1:]
		case c == '\n':
			f.row, text = min(f.row+1, len(f.cells)-1), text[1:]
		case !utf8.FullRuneInString(text):
			return text
		default:
			r, size := utf8.DecodeRuneInString(text)
			f.put(string(r))
			text = text[size:]
		}
	}
	return ""
}

func (f *fakeTerminal) put(s string) {
	line := f.cells[f.row]
	for i := range ansi.StringWidth(s) {
		at := min(f.column, len(line)-1) // no wrap
		line[at] = ""
		if i == 0 {
			line[at] = s
		}
		f.column++
	}
}

func (f *fakeTerminal) control(params string, final byte) {
	numbers := strings.Split(params, ";")
	n := func(i, otherwise int) int {
		if i < len(numbers) {
			if v, err := strconv.Atoi(numbers[i]); err == nil {
				return v
			}
		}
		return otherwise
	}
	switch final {
	case 'H':
		f.row = max(min(n(0, 1)-1, len(f.cells)-1), 0)
		f.column = max(n(1, 1)-1, 0)
	case 'K':
		from, to := f.column, len(f.cells[f.row])
		if n(0, 0) == 2 {
			from = 0
		}
		for i := from; i < to; i++ {
			f.cells[f.row][i] = " "
		}
	case 'J':
		from := f.row
		if n(0, 0) == 2 {
			from = 0
		}
		for _, line := range f.cells[from:] {
			for i := range line {
				line[i] = " "
			}
		}
	case 'm': // colours
	case 'h', 'l':
		on := final == 'h'
		switch params {
		case "?1049":
			f.alternate = on
		case "?25":
			f.cursor = on
		case "?7":
			f.noWrap = !on
		case "?2004":
			f.paste = on
		case "?1002", "?1003", "?1006": // the mouse, which is off anyway
		default:
			f.unknown = append(f.unknown, params+string(final))
		}
	default:
		f.unknown = append(f.unknown, params+string(final))
	}
}

// String returns what is to be seen.
func (f *fakeTerminal) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, line := range f.cells {
		b.WriteString(strings.TrimRight(strings.Join(line, ""), " ") + "\n")
	}
	return b.String()
}

// await waits until what is to be seen fulfils a condition.
func (f *fakeTerminal) await(t *testing.T, what string, is func(screen string) bool) string {
	t.Helper()
	late := time.After(soon)
	for {
		screen := f.String()
		if is(screen) {
			return screen
		}
		select {
		case <-f.changed:
		case <-late:
			require.Fail(t, "never seen: "+what, "%s", screen)
		}
	}
}

// has waits for a text.
func (f *fakeTerminal) has(t *testing.T, text string) string {
	t.Helper()
	return f.await(t, text, func(s string) bool { return strings.Contains(s, text) })
}

// keys types.
func (f *fakeTerminal) keys(t *testing.T, text string) {
	t.Helper()
	_, err := f.master.WriteString(text)
	require.NoError(t, err)
}

// resize makes the terminal another size.
func (f *fakeTerminal) resize(t *testing.T, width, height int) {
	t.Helper()
	f.mu.Lock()
	f.clear(width, height)
	f.mu.Unlock()
	require.NoError(t, pty.Setsize(f.master, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}))
}

// restored checks that the terminal is as it was before.
func (f *fakeTerminal) restored(t *testing.T) {
	t.Helper()
	<-f.ended
	f.mu.Lock()
	defer f.mu.Unlock()
	require.False(t, f.alternate, "alternate screen")
	require.True(t, f.cursor, "cursor")
	require.False(t, f.noWrap, "no wrap")
	require.False(t, f.paste, "bracketed paste")
	require.Empty(t, f.unknown)
}
