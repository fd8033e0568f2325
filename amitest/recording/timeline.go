package recording

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// A timeline reads a recording that is a pair of files: what a server sent, and when.
// Answers to the recorded client are records as well.
type timeline struct {
	banner string
	name   string

	times, bytes *os.File
	lines        *bufio.Reader
	frames       *frame.Reader

	line int           // lines of times read
	at   time.Duration // when the bytes before upto came
	upto int64
	last int64 // offset of the last line
	next int64
}

func openTimeline(base string) (source, error) {
	times, err := os.Open(base + ".timeline")
	if err != nil {
		return nil, err
	}
	data, err := os.Open(base + ".server")
	if err != nil {
		_ = times.Close() // it was read only
		return nil, err
	}
	t := &timeline{
		name: filepath.Base(base), times: times, bytes: data,
		lines: bufio.NewReaderSize(times, mostLine), frames: frame.NewReader(data, limits),
	}
	t.banner, err = t.frames.Banner()
	if _, none := errors.AsType[*frame.BannerError](err); err != nil && !none && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *timeline) Close() error { return errors.Join(t.times.Close(), t.bytes.Close()) }

func (t *timeline) Header() Header { return Header{Version: version, Node: t.name, Banner: t.banner} }

// Next returns the next message with the time of its last byte. A message that was
// cut off at the end of the stream is left out, as one that broke a limit is.
func (t *timeline) Next() (Record, error) {
	for {
		f, err := t.frames.Next()
		if _, ok := errors.AsType[*frame.FormatError](err); ok {
			continue
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Record{}, io.EOF
		}
		if err != nil {
			return Record{}, err
		}
		for t.frames.Offset() > t.upto {
			if err := t.chunk(); err != nil {
				return Record{}, err
			}
		}
		return Record{At: t.at, Event: f}, nil
	}
}

// chunk reads a line of the timeline.
func (t *timeline) chunk() error {
	t.line, t.last = t.line+1, t.next
	text, err := t.lines.ReadSlice('\n')
	if err != nil && !(errors.Is(err, io.EOF) && len(text) > 0) {
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return t.wrong("the server has sent more bytes than the timeline says")
		}
		return err
	}
	t.next += int64(len(text))
	parts := strings.Fields(string(text))
	if len(parts) != 3 {
		return t.wrong("must be seconds, S, C or EOF, and a number of bytes")
	}
	seconds, err := strconv.ParseFloat(parts[0], 64)
	n, ok := parseNumber(parts[2], 31)
	if err != nil || !(seconds >= 0 && seconds < math.MaxInt32) || !ok {
		return t.wrong("must be seconds, S, C or EOF, and a number of bytes")
	}
	if parts[1] == "S" {
		t.at = time.Duration(seconds * float64(time.Second))
		t.upto += int64(n)
	}
	return nil
}

func (t *timeline) wrong(format string, args ...any) error {
	return &FormatError{Line: t.line, Offset: t.last, Reason: fmt.Sprintf(format, args...)}
}
