package frame

import (
	"io"
	"sync"
)

// The sizes of the read buffer. It starts small, because most nodes of a large
// fleet are quiet most of the time, and grows to busyBuffer on the first read
// that fills it: in a flood larger reads spare system calls and wake-ups. Quiet
// reads make it small again. Only a frame larger than busyBuffer makes it grow
// further, and the memory is given back once the frame is through.
const (
	idleBuffer = 1 << 10
	busyBuffer = 64 << 10
)

// The buffers of readers that are quiet again, for others.
var (
	busyBuffers  = sync.Pool{New: func() any { return new([busyBuffer]byte) }}
	largeBuffers sync.Pool // *[]byte of any size above
)

// fill reads once into the buffer, after making room. It reports false if the
// message already takes all the memory it may; a failed read is in r.err.
func (r *Reader) fill() bool {
	waiting := r.end - r.message
	switch {
	case r.buf == nil:
		r.buf = make([]byte, idleBuffer)
	case len(r.buf) > busyBuffer && waiting < busyBuffer:
		r.move(busyBuffers.Get().(*[busyBuffer]byte)[:])
	case len(r.buf) == busyBuffer && waiting+r.got < idleBuffer:
		r.move(make([]byte, idleBuffer))
	case r.message > 0: // what is left is the start of one message: little to copy
		r.move(r.buf)
	case r.end < len(r.buf):
	case len(r.buf) >= r.lim.Buffer:
		return false
	default:
		r.move(larger(len(r.buf), r.lim.Buffer))
	}
	for range noProgress {
		r.got, r.err = r.src.Read(r.buf[r.end:])
		r.end += r.got
		if r.end == len(r.buf) && r.end < busyBuffer { // more is likely to wait: the line is busy
			r.move(busyBuffers.Get().(*[busyBuffer]byte)[:])
		}
		if r.got > 0 || r.err != nil {
			return true
		}
	}
	r.err = io.ErrNoProgress
	return true
}

// larger returns a buffer of at least twice the size, within limit. One of those
// that large messages were read into before spares growing into it step by step,
// and the collector its garbage.
func larger(size, limit int) []byte {
	size = min(2*size, limit)
	if p, ok := largeBuffers.Get().(*[]byte); ok {
		if c := cap(*p); c >= size && c <= limit { // other readers may hold more
			return (*p)[:c]
		}
		largeBuffers.Put(p)
	}
	return make([]byte, size)
}

// move copies the unfinished message to the start of buf, and lets others have
// the buffer where it was. Frames have copies of what else was in it.
func (r *Reader) move(buf []byte) {
	n := copy(buf, r.buf[r.message:r.end])
	if &r.buf[0] != &buf[0] {
		giveBack(r.buf)
	}
	d := r.message
	r.buf, r.end = buf, n
	r.base += int64(d)
	r.message, r.line, r.scan = 0, r.line-d, r.scan-d
}

func giveBack(buf []byte) {
	switch {
	case len(buf) == busyBuffer:
		busyBuffers.Put((*[busyBuffer]byte)(buf))
	case len(buf) > busyBuffer:
		largeBuffers.Put(&buf)
	}
}
