package spool

import (
	"context"
	"log/slog"
)

// A Batch is what Read returns: losses, and the entries behind them.
type Batch struct {
	// Losses are what is missing before the first entry, at most one for each group
	// and one Unknown.
	Losses []Loss

	// Entries follow each other without a gap. There may be none if there are
	// Losses. Their data must not be changed.
	Entries []Entry

	// Last is the position of the last entry or loss, to be acknowledged.
	Last Position
}

// Position returns the position of Entries[i].
func (b *Batch) Position(i int) Position { return b.Last - Position(len(b.Entries)-1-i) }

// A cursor is a place in a block from which the reader has read.
type cursor struct {
	scan

	valid   bool     // the scan has a block
	segment *segment // nil: the block is a chunk
	base    int64    // where the block begins in its file; without one, where to go on
}

// leave forgets a block with entries from first to last: they were dropped, or
// nobody wants them again.
func (c *cursor) leave(first, last Position) {
	if c.segment != nil && c.segment.first <= last && first <= c.segment.last ||
		c.segment == nil && first <= c.prev+1 && c.prev <= last {
		*c = cursor{}
	}
}

// Read waits for entries and returns the oldest of them that it has not returned
// yet: at most entries of them, and no more data than bytes, but one in any case.
// They stay in the spool until Ack.
//
// It returns the cause of ctx's end, ErrClosed, ErrUnacknowledged, or an *Error
// from reading the disk, after which it may be called again: at the third time
// what cannot be read is a loss.
func (s *Spool) Read(ctx context.Context, entries, bytes int) (Batch, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return Batch{}, ErrClosed
		}
		if s.unacknowledged() {
			s.mu.Unlock()
			return Batch{}, ErrUnacknowledged
		}
		b, seg := s.gather(max(entries, 1), bytes)
		s.mu.Unlock()
		if seg != nil {
			if err := s.load(seg); err != nil {
				return Batch{}, err
			}
			continue
		}
		if b.Last > 0 {
			return b, nil
		}
		select {
		case <-s.more:
		case <-s.stop:
		case <-ctx.Done():
			return Batch{}, context.Cause(ctx)
		}
	}
}

// unacknowledged tells whether too much is in flight: what is cannot be dropped.
// The caller holds mu.
func (s *Spool) unacknowledged() bool {
	held := int64(0)
	for i := segmentFor(s.segments, s.acked+1); i < len(s.segments) && s.inFlight(s.segments[i].first, s.segments[i].last); i++ {
		held += s.segments[i].size
	}
	return held > s.options.MaxBytes/2
}

// gather takes what is in memory. If the first thing to read is not, it returns
// the segment to load. The caller holds mu.
func (s *Spool) gather(entries, bytes int) (b Batch, load *segment) {
	size := 0
	for len(b.Entries) < entries && s.read+1 < s.next {
		if !s.from.valid {
			seg, gap := s.locate()
			switch {
			case seg != nil && b.Last == 0:
				s.startLoading(seg)
				return b, seg
			case seg != nil:
				return b, nil
			case gap:
				if len(b.Entries) == 0 {
					s.tell(&b, s.next-1)
				}
				return b, nil
			}
		}
		before := s.from.scan
		e, ok := s.from.next()
		switch {
		case !ok:
			s.exhausted()
			continue
		case e.pos <= s.read:
			continue
		case e.pos > s.read+1 && len(b.Entries) > 0, len(b.Entries) > 0 && size+len(e.data) > bytes:
			s.from.scan = before
			return b, nil
		case e.pos > s.read+1:
			s.tell(&b, e.pos-1)
		}
		if b.Entries == nil {
			b.Entries = make([]Entry, 0, min(entries, int(s.next-e.pos)))
		}
		b.Entries = append(b.Entries, Entry{Group: s.group(e.group, b.Entries), Data: e.data})
		size += len(e.data)
		s.read, b.Last = e.pos, e.pos
	}
	return b, nil
}

// group returns the text of a group, that of the entry before if it is the same.
func (s *Spool) group(g []byte, before []Entry) string {
	if n := len(before); n > 0 && before[n-1].Group == string(g) {
		return before[n-1].Group
	}
	return string(g)
}

// tell puts into b what is missing up to last.
func (s *Spool) tell(b *Batch, last Position) {
	b.Losses = explain(s.dropped, s.read+1, last)
	for _, l := range b.Losses {
		if l.Unknown {
			s.log.Warn("spool entries damaged or missing", slog.Uint64("entries", l.Count), slog.Uint64("position", uint64(l.First)))
			if last > s.told {
				s.lost += l.Count
			}
		}
	}
	s.told = max(s.told, last)
	s.read, b.Last = last, last
}

// locate finds the next thing to read: a chunk, to which it sets the cursor, or a
// segment to load, or, if neither is left, a gap up to the end.
func (s *Spool) locate() (load *segment, gap bool) {
	want := s.read + 1
	c, g := chunkFor(s.chunks, want), segmentFor(s.segments, want)
	for g < len(s.segments) && s.segments[g].last < s.segments[g].first {
		g++ // all of it is damaged
	}
	switch {
	case c < len(s.chunks) && (g == len(s.segments) || max(s.chunks[c].first, want) <= max(s.segments[g].first, want)):
		s.from = cursor{valid: true, scan: scan{buf: s.chunks[c].buf, prev: s.chunks[c].first - 1, trusted: true}}
		return nil, false
	case g < len(s.segments):
		return s.segments[g], false
	}
	return nil, true
}

// startLoading makes g the one that is not dropped, and sets the cursor to where its
// reading begins. The caller holds mu.
func (s *Spool) startLoading(g *segment) {
	s.loading = g
	if s.from.segment != g || s.from.prev > s.read {
		s.from = cursor{segment: g, base: segmentHeader, scan: scan{prev: g.first - 1}}
	}
}

// exhausted leaves a block that has no more entries. The caller holds mu.
func (s *Spool) exhausted() {
	c := &s.from
	if c.segment == nil {
		*c = cursor{}
		return
	}
	end := c.base + int64(len(c.buf))
	c.base += int64(c.off)
	c.valid, c.scan = false, scan{prev: c.prev}
	if end >= c.segment.size { // there is no more: what is missing is lost
		c.segment.last = min(c.segment.last, c.prev)
	}
}

// load reads seg from where the cursor says.
func (s *Spool) load(seg *segment) error {
	s.mu.Lock()
	base, size := s.from.base, seg.size
	s.mu.Unlock()
	buf, err := seg.load(base, size)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loading = nil
	if err != nil {
		if s.failed++; s.failed < 3 {
			return err
		}
		s.log.Error("spool segment cannot be read, its entries are lost", slog.Any("error", err))
	}
	s.failed = 0
	if s.from.segment != seg { // Rewind
		return nil
	}
	if int64(len(buf)) < size-base { // that is all there is
		buf = append(buf, make([]byte, size-base-int64(len(buf)))...)
	}
	s.from.buf, s.from.off, s.from.valid = buf, 0, true
	return nil
}

// Ack removes what Read has returned up to pos. Positions that are acknowledged
// already are none of its business; one that was not read is ErrNotRead.
func (s *Spool) Ack(pos Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return ErrClosed
	case pos > s.read:
		return ErrNotRead
	case pos <= s.acked:
		return nil
	}
	s.acked = pos
	for len(s.dropped) > 0 && s.dropped[0].Last <= pos {
		s.dropped = s.dropped[1:]
	}
	for len(s.chunks) > 0 && s.chunks[0].last <= pos {
		c := s.chunks[0]
		if c.durable {
			s.cached -= int64(len(c.buf))
		} else {
			s.pending -= int64(len(c.buf))
			s.inMemory -= uint64(c.last - c.first + 1)
		}
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
	}
	for len(s.marks) > 1 && s.marks[1].pos <= pos+1 {
		s.marks = s.marks[1:]
	}
	if pos+1 == s.next {
		s.marks = nil // the next entry has its own time
	}
	return nil
}

// Rewind makes Read begin again with the first entry or loss that is not
// acknowledged.
func (s *Spool) Rewind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return ErrClosed
	}
	s.read = s.acked
	s.from = cursor{}
	s.wake()
	return nil
}
