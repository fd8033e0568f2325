package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/charmbracelet/x/term"
)

// An output is where results go. It belongs to one goroutine at a time.
type output struct {
	json     bool // JSON instead of text
	colour   bool
	terminal *os.File // if it is one on which the cursor may be moved, else nil

	buf   *bufio.Writer
	err   error // the first of a write
	stuck bool  // another goroutine is in a write and does not return
	stop  context.CancelCauseFunc
}

// newOutput returns an output that calls stop when nobody takes what it writes.
func newOutput(w io.Writer, stop context.CancelCauseFunc) *output {
	return &output{buf: bufio.NewWriterSize(w, 16<<10), stop: stop, colour: coloured(w, os.Getenv), terminal: terminal(w, os.Getenv)}
}

// terminal returns w if it is a terminal on which the cursor may be moved.
func terminal(w io.Writer, getenv func(string) string) *os.File {
	f, ok := w.(*os.File)
	if !ok || getenv("TERM") == "dumb" || !term.IsTerminal(f.Fd()) {
		return nil
	}
	return f
}

// coloured reports whether w is a terminal that may be given colours.
func coloured(w io.Writer, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && isTerminal(w, getenv)
}

// isTerminal reports whether w is a terminal that can write a line over.
func isTerminal(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	if !ok || getenv("TERM") == "dumb" || runtime.GOOS == "windows" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Write implements io.Writer. What it takes is written by flush, or earlier.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.buf.Write(p)
	o.note(err)
	return n, err
}

func (o *output) flush() { o.note(o.buf.Flush()) }

// abandon leaves the output to whoever is stuck in a write of it.
func (o *output) abandon() { o.stuck = true }

// note keeps an error, and ends the command: there is nobody to work for.
func (o *output) note(err error) {
	if err == nil || o.err != nil {
		return
	}
	o.err = err
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		err = errReader
	}
	o.stop(err)
}

// line prints a line of text.
func (o *output) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	_, _ = io.WriteString(o, text+"\n") // noted
}

// object prints v as one line of JSON.
func (o *output) object(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		o.note(err)
		return
	}
	_, _ = o.Write(append(harmless(b), '\n')) // noted
}

// harmless escapes what a terminal would obey and package json leaves as it is: DEL,
// control characters beyond ASCII, and those that change the direction of a text. It
// stays the same JSON.
func harmless(b []byte) []byte {
	odd := func(r rune) bool { return r >= 0x7f && !unicode.IsGraphic(r) }
	if bytes.IndexFunc(b, odd) < 0 {
		return b
	}
	escaped := make([]byte, 0, len(b)+64)
	for _, r := range string(b) { // json.Marshal writes valid UTF-8
		switch {
		case !odd(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

// A style is how a text looks on a terminal.
type style string

const (
	plain   style = ""
	bold    style = "1"
	faint   style = "2"
	reverse style = "7"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	cyan    style = "36"
)

// paint returns text in a style, where there are colours.
func (o *output) paint(s style, text string) string {
	if !o.colour || s == plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// clean makes a text of a server fit for a terminal: whoever calls chooses the
// name that is shown, and a control character in it would be obeyed.
func clean(s string) string {
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsGraphic(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// plural returns a number of things.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
