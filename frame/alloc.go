package frame

import (
	"encoding/binary"
	"math"
	"strings"
	"unsafe"
)

// alloc makes a frame of message, whose lines start at starts and whose last one
// ends before sentinel. A frame is one allocation without a pointer in it: to the
// collector, which has to make room for a million of them a second, that is the
// cheapest there is.
func (r *Reader) alloc(message []byte, starts []uint32, sentinel uint32) *Frame {
	size, width := len(message), narrow
	if size > math.MaxUint16 {
		width = wide
	}
	memory := make([]byte, frameSize+size+width*(len(starts)+1))
	f := (*Frame)(unsafe.Pointer(&memory[0])) // aligned: Go aligns what is as large as a Frame for any type
	f.self = uintptr(unsafe.Pointer(f))
	f.size, f.count, f.raw, f.width = uint32(size), uint32(len(starts)), r.follows.raw, uint8(width)
	if r.id <= f.count {
		f.id = r.id
	}
	text := memory[frameSize:]
	copy(text, message)
	table := text[size:]
	if width == wide {
		for i, at := range starts {
			binary.LittleEndian.PutUint32(table[wide*i:], at)
		}
		binary.LittleEndian.PutUint32(table[wide*len(starts):], sentinel)
	} else {
		for _, at := range starts {
			binary.LittleEndian.PutUint16(table, uint16(at))
			table = table[narrow:]
		}
		binary.LittleEndian.PutUint16(table, uint16(sentinel))
	}
	f.classify()
	return f
}

// classify finds the first header. Lines before it, without a colon, are the
// remains of something else: they do not hide the message behind them.
func (f *Frame) classify() {
	if name, ok := f.match(0, eventName); ok { // nearly every frame
		f.kind = Event
		f.named(0, name)
		return
	}
	for i := range f.Len() {
		key, value, ok := strings.Cut(f.line(i), ":")
		if !ok {
			continue
		}
		switch {
		case equalFold(key, eventName):
			f.kind = Event
		case equalFold(key, responseName):
			f.kind = Response
		}
		f.named(i, trimBlank(value))
		return
	}
}

// named notes where the value of the first header is, line i.
func (f *Frame) named(i int, value string) {
	start, _ := f.span(i)
	f.nameEnd = uint32(start + len(f.line(i)))
	f.name = f.nameEnd - uint32(len(value))
}

// Parse returns the one message that wire holds, within the default Limits. The
// delimiter may be missing. It is for tests, tools and replays; connections use
// a Reader. The error is io.EOF if wire has no line that is not blank,
// otherwise that of Reader.Next.
func Parse(wire string) (*Frame, error) {
	return NewReader(strings.NewReader(wire+"\r\n\r\n"), Limits{}).Next()
}
