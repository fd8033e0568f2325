package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Larger line tables are not kept between frames, and so many empty reads in a row
// are an io.ErrNoProgress.
const (
	keepLines  = 4 << 10
	noProgress = 100
)

// A Reader cuts a byte stream from Asterisk into frames. One goroutine uses it
// at a time. It reads no byte ahead of need except what one Read returned, and
// holds at most Limits.Buffer bytes and, for each line of the message being
// read, an offset of 4 bytes.
type Reader struct {
	src io.Reader
	lim Limits

	err error // sticky: from NewReader or src

	buf  []byte
	base int64 // offset of buf[0] in the stream
	got  int   // bytes of the last read

	// Positions in buf: message <= line <= scan <= end.
	message int // first byte of the message being read
	line    int // first byte of the line being read
	scan    int // first byte not yet searched for a line feed
	end     int // first byte not yet read

	starts  []uint32 // offsets of the lines seen, from message
	id      uint32   // number of the first line with an ActionID, from 1; 0: none yet
	output  int      // bytes of Command output among them
	outputs int      // number of such lines
	follows follows  // what Response: Follows needs
	discard bool     // the message broke a limit: skip to its delimiter
	cut     bool     // discarding: the start of the current line is gone
}

// Format makes every verb print how many bytes are buffered, and none of them.
func (r *Reader) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "reader (%d bytes buffered)", r.end-r.message) // a fmt.State has nowhere to report to
}

// NewReader returns a Reader of src. It reads nothing yet. If lim does not
// pass its Validate, every call of the Reader returns that *LimitError.
func NewReader(src io.Reader, lim Limits) *Reader {
	lim, err := lim.WithDefaults()
	if err != nil {
		return &Reader{err: err}
	}
	return &Reader{src: src, lim: lim}
}

// Offset returns how many bytes of the stream belong to what has been returned
// so far, blank lines before it included.
func (r *Reader) Offset() int64 { return r.base + int64(r.message) }

// Banner reads the greeting that Asterisk sends on accept, without a blank line
// behind it, and returns it without its line end: "Asterisk Call
// Manager/11.0.0". The number is the version of the protocol, not of Asterisk.
//
// Another greeting is a *BannerError, as soon as its bytes differ: many
// protocols greet without a line end. A connection that closes in silence, as
// Asterisk does above its authlimit, gives io.EOF. Call Banner once, before
// Next, or not at all if the stream has none.
func (r *Reader) Banner() (string, error) {
	for {
		got := r.buf[r.message:r.end]
		if n := min(len(got), len(bannerPrefix)); string(got[:n]) != bannerPrefix[:n] {
			break
		}
		if i := bytes.IndexByte(got, '\n'); i >= 0 && i <= bannerMost {
			r.skipTo(r.message + i + 1)
			return trimCR(string(got[:i])), nil
		}
		if len(got) > bannerMost || r.err != nil {
			break
		}
		r.fill()
	}
	if r.err != nil && (!errors.Is(r.err, io.EOF) || r.message == r.end) {
		return "", r.err
	}
	got := r.buf[r.message:min(r.end, r.message+bannerMost)]
	if i := bytes.IndexByte(got, '\n'); i >= 0 {
		got = got[:i]
	}
	return "", &BannerError{Line: trimCR(string(got))}
}

// Next returns the next frame. A *FormatError is survivable: the offending
// message is skipped and Next may be called again. Every other error is final:
// io.EOF at the end of the stream between two messages, io.ErrUnexpectedEOF
// inside one, or what the underlying Read returned.
func (r *Reader) Next() (*Frame, error) {
	for {
		for {
			if len(r.starts) > 0 && r.scan == r.line && !r.follows.on {
				r.takePlainLines()
			}
			i := bytes.IndexByte(r.buf[r.scan:r.end], '\n')
			if i < 0 {
				r.scan = r.end
				break
			}
			if f, err := r.endLine(r.scan + i); f != nil || err != nil {
				return f, err
			}
		}
		if r.discard {
			r.forget()
		} else if r.end-r.line > r.lim.Line+1 { // a CR may be the last byte
			return nil, r.reject(LineTooLong, r.lim.Line)
		}
		if r.err != nil { // only now: the last read may have given bytes as well
			if errors.Is(r.err, io.EOF) && (r.end > r.message || r.discard) {
				r.err = io.ErrUnexpectedEOF
			}
			return nil, r.err
		}
		if !r.fill() {
			return nil, r.reject(BufferFull, r.lim.Buffer)
		}
	}
}

// takePlainLines takes lines of a message that has begun, as endLine does, up to one
// that ends the message or breaks a limit. Most of the time of reading goes into
// this loop.
func (r *Reader) takePlainLines() {
	buf, line, starts := r.buf[:r.end], r.line, r.starts
	for {
		i := bytes.IndexByte(buf[line:], '\n')
		if i <= 1 || i > r.lim.Line { // none, or a blank one
			break
		}
		next, output, outputs := line+i+1, r.output, r.outputs
		switch buf[line] | 0x20 {
		case 'a':
			if r.id == 0 && isHeader(buf[line:line+i], actionIDName) {
				r.id = uint32(len(starts)) + 1
			}
		case 'o':
			if isOutput(buf[line : line+i]) {
				output, outputs = output+i+1, outputs+1
			}
		}
		if len(starts)-outputs >= r.lim.Headers || output > r.lim.Command || next-r.message-output > r.lim.Frame {
			break
		}
		starts = append(starts, uint32(line-r.message))
		line, r.output, r.outputs = next, output, outputs
	}
	r.starts, r.line, r.scan = starts, line, line
}

// endLine takes the line whose line feed is at nl. It returns a frame if the
// line ends one, or a *FormatError if it breaks a limit.
func (r *Reader) endLine(nl int) (*Frame, error) {
	start := r.line
	stop := nl // without the CR
	if stop > start && r.buf[stop-1] == '\r' {
		stop--
	}
	if stop-start > r.lim.Line && !r.discard {
		return nil, r.reject(LineTooLong, r.lim.Line)
	}
	r.line, r.scan = nl+1, nl+1

	switch {
	case r.discard:
		r.endDiscardedLine(start, stop)
		return nil, nil
	case r.follows.on:
		return r.endFollowsLine(start, stop)
	case start == stop:
		if len(r.starts) == 0 { // a stray blank line between two messages
			r.skipTo(r.line)
			return nil, nil
		}
		return r.complete(start), nil
	}

	line := r.buf[start:stop]
	switch first := line[0] | 0x20; {
	case first == 'r' && len(r.starts) == 0:
		r.follows.on = isFollows(line)
	case first == 'o' && len(r.starts) > 0 && isOutput(line):
		r.output += r.line - start
		r.outputs++
	case first == 'a':
		r.note(line)
	}
	r.starts = append(r.starts, uint32(start-r.message))
	return nil, r.check()
}

// note remembers the line with the ActionID, for which every frame is asked.
func (r *Reader) note(line []byte) {
	if r.id == 0 && isHeader(line, actionIDName) {
		r.id = uint32(len(r.starts)) + 1
	}
}

// check compares the message with the limits that hold for all of its lines.
func (r *Reader) check() error {
	switch {
	case len(r.starts)-r.outputs > r.lim.Headers:
		return r.reject(TooManyHeaders, r.lim.Headers)
	case r.output > r.lim.Command:
		return r.reject(CommandTooLarge, r.lim.Command)
	case r.line-r.message-r.output > r.lim.Frame:
		return r.reject(TooLarge, r.lim.Frame)
	default:
		return nil
	}
}

// complete returns the frame that the blank line just read has ended. Its last
// line ends before sentinel.
func (r *Reader) complete(sentinel int) *Frame {
	f := r.alloc(r.buf[r.message:r.line], r.starts, uint32(sentinel-r.message))
	r.skipTo(r.line)
	return f
}

// reject drops the message being read and skips to its delimiter from the
// current line on.
func (r *Reader) reject(reason Reason, limit int) error {
	err := &FormatError{Reason: reason, Limit: limit, Head: r.head()}
	r.discard = true
	r.starts, r.id, r.output, r.outputs = r.starts[:0], 0, 0, 0
	r.message = r.line
	return err
}

// head parses the lines before the current one, up to headMost bytes, for a
// FormatError.
func (r *Reader) head() *Frame {
	n, end := len(r.starts), uint32(r.line-r.message)
	for n > 0 && end > headMost {
		n--
		end = r.starts[n]
	}
	if n == 0 {
		return nil
	}
	return r.alloc(r.buf[r.message:r.message+int(end)], r.starts[:n], end)
}

// endDiscardedLine looks for the delimiter of a message that was rejected.
func (r *Reader) endDiscardedLine(start, stop int) {
	blank := start == stop && !r.cut
	if r.cut || stop-start > r.lim.Line {
		r.follows.blank = false // such a line begins no message
	}
	r.cut = false
	if r.follows.on {
		if !r.follows.ends(r.buf[start:stop], r.buf[stop] == '\r', blank) {
			r.message = r.line
			return
		}
		if !blank { // the next message has begun
			r.line, r.scan = start, start
		}
	} else if !blank {
		r.message = r.line
		return
	}
	r.discard = false
	r.skipTo(r.line)
}

// forget drops the partial line of a rejected message if it is too long, but
// for the tail that could be the end mark of a Command and its CR.
func (r *Reader) forget() {
	if r.end-r.line > r.lim.Line+1 {
		r.line = r.end - len(endOfCommand) - 1
		r.message, r.cut = r.line, true
	}
}

// skipTo begins a new message at position p.
func (r *Reader) skipTo(p int) {
	r.message, r.line, r.scan = p, p, p
	r.starts, r.id, r.output, r.outputs = r.starts[:0], 0, 0, 0
	r.follows = follows{}
	if cap(r.starts) > keepLines {
		r.starts = nil
	}
}
