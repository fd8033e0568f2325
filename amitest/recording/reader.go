package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// limits let any message through that a client may have received.
var limits = frame.Limits{Line: 4 << 20, Headers: 1 << 20, Frame: 4 << 20, Command: 8 << 20}

// A Reader reads a recording. One goroutine uses it at a time. It holds one record.
type Reader struct {
	src    *bufio.Reader
	header Header
	err    error // sticky

	// Of the line that was read last, and of what comes next.
	line, nextLine     int
	offset, nextOffset int64
}

// NewReader reads the header. The error is a *FormatError if r holds no recording,
// else that of r.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{src: bufio.NewReaderSize(r, mostLine), nextLine: 1}
	line, err := in.text()
	if errors.Is(err, ErrCut) || errors.Is(err, io.EOF) {
		return nil, in.wrong("no recording: its first line must be a JSON object with ami_recording")
	}
	if err != nil {
		return nil, err
	}
	h := struct {
		Header
		Version *int `json:"ami_recording"`
	}{}
	if err := json.Unmarshal(line, &h); err != nil || h.Version == nil {
		return nil, in.wrong("no recording: its first line must be a JSON object with ami_recording")
	}
	if in.header = h.Header; *h.Version != version {
		return nil, in.wrong("version %d of the format is unknown", *h.Version)
	}
	in.header.Version = version
	return in, nil
}

// Header returns the header.
func (r *Reader) Header() Header { return r.header }

// Next returns the next record. The error is io.EOF behind the end mark, ErrCut if
// there is none, a *FormatError, or that of the underlying reader. All are final.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	if err != nil {
		r.err = err
		return Record{}, err
	}
	if rec.End != nil {
		r.err = io.EOF
		if _, err := r.src.ReadByte(); err == nil {
			r.line, r.offset = r.nextLine, r.nextOffset
			r.err = r.wrong("something follows the end mark")
		} else if !errors.Is(err, io.EOF) {
			r.err = err
		}
	}
	return rec, nil
}

func (r *Reader) next() (rec Record, err error) {
	line, err := r.text()
	if errors.Is(err, io.EOF) {
		return rec, ErrCut
	}
	if err != nil {
		return rec, err
	}
	parts := strings.SplitN(string(line), " ", 4)
	if len(parts) != 4 || parts[0] != "@" {
		return rec, r.wrong("must be @, milliseconds, event, lost, gap or end, and more")
	}
	at, ok := parseTime(parts[1])
	if !ok {
		return rec, r.wrong("the time must be milliseconds with three decimals, as 412.031")
	}
	rec.At = at
	switch what := parts[3]; parts[2] {
	case "event":
		rec.Event, err = r.event(what)
	case "lost":
		if rec.Lost, ok = parseNumber(what, 63); !ok || rec.Lost == 0 {
			err = r.wrong("lost needs a number of events")
		}
	case "gap":
		rec.Gap = new(Gap)
		err = r.object("gap", what, rec.Gap)
	case "end":
		rec.End = new(End)
		err = r.object("end", what, rec.End)
	default:
		err = r.wrong("unknown record: it must be event, lost, gap or end")
	}
	return rec, err
}

// event reads a message of so many bytes.
func (r *Reader) event(size string) (*frame.Frame, error) {
	n, ok := parseNumber(size, 31)
	if !ok || n == 0 || n > mostEvent {
		return nil, r.wrong("the size of an event must be 1 to %d bytes", mostEvent)
	}
	// Not made at once: a size may be a lie.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r.src, int64(n)); errors.Is(err, io.EOF) {
		return nil, ErrCut
	} else if err != nil {
		return nil, err
	}
	messages := frame.NewReader(bytes.NewReader(b.Bytes()), limits)
	f, err := messages.Next()
	if err != nil || f.Wire() != b.String() {
		return nil, r.wrong("the %d bytes behind this line are not one message with the blank line that ends it", n)
	}
	r.nextLine += bytes.Count(b.Bytes(), []byte("\n"))
	r.nextOffset += int64(n)
	return f, nil
}

func (r *Reader) object(kind, text string, v any) error {
	if err := json.Unmarshal([]byte(text), v); err != nil || text[0] != '{' {
		return r.wrong("%s needs a JSON object", kind)
	}
	return nil
}

// text reads a line of the format, without its line end.
func (r *Reader) text() ([]byte, error) {
	r.line, r.offset = r.nextLine, r.nextOffset
	line, err := r.src.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, r.wrong("no line of the format: it is longer than %d bytes", mostLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, ErrCut
	case err != nil:
		return nil, err
	}
	r.nextLine++
	r.nextOffset += int64(len(line))
	return line[:len(line)-1], nil
}

func (r *Reader) wrong(format string, args ...any) error {
	return &FormatError{Line: r.line, Offset: r.offset, Reason: fmt.Sprintf(format, args...)}
}

// parseTime reads milliseconds with three decimals.
func parseTime(s string) (time.Duration, bool) {
	ms, us, ok := strings.Cut(s, ".")
	n, ok1 := parseNumber(ms, 43) // 278 years
	frac, ok2 := parseNumber(us, 10)
	if !ok || !ok1 || !ok2 || len(us) != 3 {
		return 0, false
	}
	return time.Duration(n)*time.Millisecond + time.Duration(frac)*time.Microsecond, true
}

// parseNumber reads digits alone.
func parseNumber(s string, bits int) (uint64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, bits)
	return n, err == nil
}
