package recording

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// bufferSize is how many bytes a Writer collects before it writes them.
const bufferSize = 64 << 10

// A Writer writes a recording through a buffer of 64 KiB and one record. One
// goroutine uses it at a time. After an error all calls return that error.
type Writer struct {
	w    io.Writer
	err  error
	buf  []byte
	ends []ending // of the records in buf

	kept   int64  // bytes written that are whole records
	events uint64 // among these
}

// An ending is where a record in the buffer ends.
type ending struct {
	at    int
	event bool
}

// NewWriter writes the header, and returns a Writer of what follows. The version is
// set.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = version
	out := &Writer{w: w, buf: make([]byte, 0, bufferSize)}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(line) >= mostLine {
		return nil, errors.New("recording: the header is too long")
	}
	out.buf = append(append(out.buf, line...), '\n')
	out.ends = append(out.ends, ending{at: len(out.buf)})
	if err := out.Flush(); err != nil {
		return nil, err
	}
	return out, nil
}

// Event adds a message as it was received: one, with the blank line that ends it.
func (w *Writer) Event(at time.Duration, wire string) error {
	if !strings.HasSuffix(wire, "\n") || len(wire) > mostEvent {
		return errors.New("recording: that is no whole message")
	}
	w.begin(at, "event ")
	w.buf = strconv.AppendInt(w.buf, int64(len(wire)), 10)
	w.buf = append(w.buf, '\n')
	w.buf = append(w.buf, wire...)
	return w.end(true)
}

// Lost tells that n events were not recorded; 0 adds nothing.
func (w *Writer) Lost(at time.Duration, n uint64) error {
	if n == 0 {
		return w.err
	}
	w.begin(at, "lost ")
	w.buf = append(strconv.AppendUint(w.buf, n, 10), '\n')
	return w.end(false)
}

// Gap tells that the node was away. A reason of more than 1 KiB is cut.
func (w *Writer) Gap(at time.Duration, g Gap) error {
	g.Reason = strings.ToValidUTF8(g.Reason[:min(len(g.Reason), 1<<10)], "")
	return w.mark(at, "gap ", g)
}

// End ends the recording, and flushes. Nothing may follow.
func (w *Writer) End(at time.Duration, e End) error {
	if err := w.mark(at, "end ", e); err != nil {
		return err
	}
	return w.Flush()
}

func (w *Writer) mark(at time.Duration, kind string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.begin(at, kind)
	w.buf = append(append(w.buf, line...), '\n')
	return w.end(false)
}

// begin begins a record. A time before the start is the start.
func (w *Writer) begin(at time.Duration, kind string) {
	us := max(at, 0).Microseconds()
	w.buf = append(w.buf, "@ "...)
	w.buf = strconv.AppendInt(w.buf, us/1000, 10)
	rest := strconv.FormatInt(1000+us%1000, 10)
	w.buf = append(append(append(w.buf, '.'), rest[1:]...), ' ')
	w.buf = append(w.buf, kind...)
}

// end ends a record, and writes if there is enough.
func (w *Writer) end(event bool) error {
	w.ends = append(w.ends, ending{len(w.buf), event})
	if len(w.buf) >= bufferSize {
		return w.Flush()
	}
	return w.err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		w.buf, w.ends = w.buf[:0], w.ends[:0]
		return w.err
	}
	n, err := w.w.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	whole := 0
	for _, e := range w.ends {
		if e.at > n {
			break
		}
		whole = e.at
		if e.event {
			w.events++
		}
	}
	w.kept += int64(whole)
	w.err = err
	w.buf, w.ends = w.buf[:0], w.ends[:0]
	return err
}

// Kept returns how many bytes were written that are whole records. After an error the
// file may hold the begin of another one: cut it off there.
func (w *Writer) Kept() int64 { return w.kept }

// Events returns how many events are among what was written whole.
func (w *Writer) Events() uint64 { return w.events }
