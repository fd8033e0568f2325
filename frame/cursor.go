package frame

import (
	"fmt"
	"io"
	"strings"
)

// A Cursor goes over the lines of a frame from the last to the first, as decoders
// do that read all of them: cheaper than At for each line. It is a value for one
// goroutine; others may have their own of the same frame.
type Cursor struct {
	frame *Frame
	left  int // lines

	// Of a frame that has no raw lines and fewer than 64 KiB; empty otherwise.
	text, table string
	end         int // of the next line, in text
}

// Backward returns a Cursor behind the last line.
func (f *Frame) Backward() Cursor {
	c := Cursor{frame: f, left: f.Len()}
	if f.width == narrow && f.raw == 0 {
		memory := f.memory()
		c.text, c.table = memory[:f.size], memory[f.size:]
		c.end = offset(c.table, narrow*c.left)
	}
	return c
}

// String returns how many lines are still to come, and nothing of what is in them.
func (c Cursor) String() string { return fmt.Sprintf("cursor (%d lines left)", c.left) }

// Format makes every verb print what String returns.
func (c Cursor) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, c.String()) // a fmt.State has nowhere to report to
}

// Left returns how many lines are still to come.
func (c *Cursor) Left() int { return c.left }

// Prev returns name and value of the line before, as At does. It panics if none
// is left.
func (c *Cursor) Prev() (key, value string) {
	c.left--
	if c.table == "" {
		return c.frame.At(c.left)
	}
	start := offset(c.table, narrow*c.left)
	line := trimCR(c.text[start : c.end-1])
	c.end = start
	before, after, ok := strings.Cut(line, ":")
	if !ok {
		return "", line
	}
	return before, trimBlank(after)
}
