package amitest

import (
	"bytes"
	"strings"

	"github.com/apn/ami/frame"
)

// The limits of main/manager.c.
const (
	maxLine    = 1024 // mansession_session.inbuf without its final zero
	maxHeaders = 128  // AST_MAX_MANHEADERS
)

// lineBuffer cuts the input into lines as get_input does: a line that fills
// the buffer without an end is thrown away so far, and its tail becomes a
// line of its own.
type lineBuffer struct {
	buf     [maxLine]byte
	used    int
	tooLong bool // a line of the present action was thrown away
}

// next takes a complete line. CR LF or LF ends it; a NUL cuts it.
func (l *lineBuffer) next() (line string, ok bool) {
	i := bytes.IndexByte(l.buf[:l.used], '\n')
	if i < 0 {
		if l.used == maxLine {
			l.used, l.tooLong = 0, true
		}
		return "", false
	}
	content := l.buf[:i]
	if i > 0 && content[i-1] == '\r' {
		content = content[:i-1]
	}
	if nul := bytes.IndexByte(content, 0); nul >= 0 {
		content = content[:nul]
	}
	line = string(content)
	l.used = copy(l.buf[:], l.buf[i+1:l.used])
	return line, true
}

// free is how much the next read may bring.
func (l *lineBuffer) free() int { return maxLine - l.used }

func (l *lineBuffer) add(p []byte) { l.used += copy(l.buf[l.used:], p) }

// request is an action as it came: its header lines, junk among them.
type request struct {
	lines   []string
	surplus bool // there were more than maxHeaders
}

func (r *request) add(line string) {
	if len(r.lines) == maxHeaders {
		r.surplus = true
		return
	}
	r.lines = append(r.lines, line)
}

// value returns the value of a line if its name is the given one; the colon
// must follow the name directly (__astman_get_header).
func value(line, name string) (string, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !strings.EqualFold(line[:len(name)], name) {
		return "", false
	}
	return trimLeading(line[len(name)+1:]), true
}

// trimLeading drops what ast_skip_blanks drops.
func trimLeading(s string) string {
	return strings.TrimLeftFunc(s, func(r rune) bool { return r < 33 })
}

// get returns the first value.
func (r *request) get(name string) string {
	for _, line := range r.lines {
		if v, ok := value(line, name); ok {
			return v
		}
	}
	return ""
}

// action returns the first Action that is not empty.
func (r *request) action() string {
	for _, line := range r.lines {
		if v, ok := value(line, "Action"); ok && v != "" {
			return v
		}
	}
	return ""
}

func (r *request) values(name string) (all []string) {
	for _, line := range r.lines {
		if v, ok := value(line, name); ok {
			all = append(all, v)
		}
	}
	return all
}

// fields returns the headers in order; a line without a colon is a key
// without a value.
func (r *request) fields() []frame.Field {
	fields := make([]frame.Field, len(r.lines))
	for i, line := range r.lines {
		k, v, _ := strings.Cut(line, ":")
		fields[i] = F(k, trimLeading(v))
	}
	return fields
}
