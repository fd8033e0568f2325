package frame

import (
	"encoding/binary"
	"math"
	"strings"
)

// alloc makes a frame of message, whose lines start at starts and whose last one
// ends before sentinel. The bytes and the table of offsets are one allocation
// without pointers, the rest is a small one: to the collector, which has to make
// room for a million of them a second, that is what a frame costs.
func (r *Reader) alloc(message []byte, starts []uint32, sentinel uint32) *Frame {
	a := new(struct {
		Frame
		text string
	})
	f := &a.Frame
	f.text = &a.text
	f.size, f.count, f.raw = uint32(len(message)), uint32(len(starts)), r.follows.raw
	if r.id <= f.count {
		f.id = r.id
	}
	f.wide = len(message) > math.MaxUint16

	var small [128]byte // on the stack: for nearly every frame
	table := small[:0]
	if f.wide {
		table = make([]byte, 0, 4*len(starts)+4)
		for _, at := range starts {
			table = binary.LittleEndian.AppendUint32(table, at)
		}
		table = binary.LittleEndian.AppendUint32(table, sentinel)
	} else {
		for _, at := range starts {
			table = binary.LittleEndian.AppendUint16(table, uint16(at))
		}
		table = binary.LittleEndian.AppendUint16(table, uint16(sentinel))
	}
	var b strings.Builder
	b.Grow(len(message) + len(table))
	b.Write(message)
	b.Write(table)
	a.text = b.String()
	f.classify()
	return f
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
