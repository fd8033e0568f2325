package frame

import (
	"encoding/binary"
	"math"
	"strings"
)

// alloc makes a frame of message, whose lines start at starts and whose last one
// ends before sentinel. Most are one allocation with one pointer, at its start: to
// the collector, which has to make room for a million of them a second, that is
// what a frame costs.
func (r *Reader) alloc(message []byte, starts []uint32, sentinel uint32) *Frame {
	size, width := len(message), narrow
	if size > math.MaxUint16 {
		width = wide
	}
	f, text := block(size + width*(len(starts)+1))
	f.text = &text[0]
	f.size, f.count, f.raw, f.width = uint32(size), uint32(len(starts)), r.follows.raw, uint8(width)
	if r.id <= f.count {
		f.id = r.id
	}
	copy(text, message)
	table := text[size:]
	if width == wide {
		for i, at := range starts {
			binary.LittleEndian.PutUint32(table[wide*i:], at)
		}
		binary.LittleEndian.PutUint32(table[wide*len(starts):], sentinel)
	} else {
		for i, at := range starts {
			binary.LittleEndian.PutUint16(table[narrow*i:], uint16(at))
		}
		binary.LittleEndian.PutUint16(table[narrow*len(starts):], uint16(sentinel))
	}
	f.classify()
	return f
}

// block returns a frame and n bytes for it, which nobody writes to any more once
// the frame is made. Frame and bytes fill the sizes in which Go hands out memory.
func block(n int) (*Frame, []byte) {
	switch {
	case n <= 64:
		b := new(struct {
			Frame
			text [64]byte
		})
		return &b.Frame, b.text[:]
	case n <= 128:
		b := new(struct {
			Frame
			text [128]byte
		})
		return &b.Frame, b.text[:]
	case n <= 192:
		b := new(struct {
			Frame
			text [192]byte
		})
		return &b.Frame, b.text[:]
	case n <= 256:
		b := new(struct {
			Frame
			text [256]byte
		})
		return &b.Frame, b.text[:]
	case n <= 320:
		b := new(struct {
			Frame
			text [320]byte
		})
		return &b.Frame, b.text[:]
	case n <= 384:
		b := new(struct {
			Frame
			text [384]byte
		})
		return &b.Frame, b.text[:]
	case n <= 448:
		b := new(struct {
			Frame
			text [448]byte
		})
		return &b.Frame, b.text[:]
	case n <= 480:
		b := new(struct {
			Frame
			text [480]byte
		})
		return &b.Frame, b.text[:]
	default:
		return new(Frame), make([]byte, n)
	}
}

// classify finds the first header. Lines before it, without a colon, are the
// remains of something else: they do not hide the message behind them.
func (f *Frame) classify() {
	if _, ok := f.match(0, eventName); ok { // nearly every frame
		f.kind = Event
		return
	}
	for i := range f.Len() {
		key, _, ok := strings.Cut(f.line(i), ":")
		if !ok {
			continue
		}
		f.first = uint32(i)
		switch {
		case equalFold(key, eventName):
			f.kind = Event
		case equalFold(key, responseName):
			f.kind = Response
		}
		return
	}
	f.first = uint32(f.Len())
}

// Parse returns the one message that wire holds, within the default Limits. The
// delimiter may be missing. It is for tests, tools and replays; connections use
// a Reader. The error is io.EOF if wire has no line that is not blank,
// otherwise that of Reader.Next.
func Parse(wire string) (*Frame, error) {
	return NewReader(strings.NewReader(wire+"\r\n\r\n"), Limits{}).Next()
}
