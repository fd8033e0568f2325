package asynclog

import (
	"context"
	"log/slog"
)

// An entry is a record on its way.
type entry struct {
	handler *Handler // whose sink gets it
	ctx     context.Context
	record  slog.Record
}

const chunkLen = 32 // 10 KiB

type chunk struct {
	entries [chunkLen]entry
	next    *chunk
}

// A backlog is a FIFO queue. It grows by chunks: a ring that grows would copy all
// that is in it while a caller waits. One chunk is kept for the next need, so
// that a steady flow allocates nothing.
type backlog struct {
	first, last *chunk
	head        int // index of the oldest entry, in first
	tail        int // index behind the newest one, in last
	n           int
	spare       *chunk
}

// add appends an entry and returns its place.
func (b *backlog) add() *entry {
	if b.last == nil || b.tail == chunkLen {
		c := b.spare
		if b.spare = nil; c == nil {
			c = new(chunk)
		}
		if b.last == nil {
			b.first = c
		} else {
			b.last.next = c
		}
		b.last, b.tail = c, 0
	}
	b.n++
	b.tail++
	return &b.last.entries[b.tail-1]
}

// take moves the oldest entry, one of which there must be, to e.
func (b *backlog) take(e *entry) {
	slot := &b.first.entries[b.head]
	*e, *slot = *slot, entry{} // do not pin what the record refers to
	b.head++
	b.n--
	switch {
	case b.n == 0: // only one chunk is left
		b.head, b.tail = 0, 0
	case b.head == chunkLen:
		c := b.first
		b.first, b.head = c.next, 0
		c.next, b.spare = nil, c
	}
}
