package spool

import (
	"log/slog"
	"os"
	"slices"
	"time"
)

// Append writes entries behind those that are there and returns when the
// operating system has them. It waits neither for the disk nor for the reader. The
// entries' data may be used again afterwards.
//
// A *TooLargeError or ErrClosed means that none was taken. An *Error means that
// all were taken, but some only into memory, see Options.MemoryBytes: the disk
// does not take them now.
func (s *Spool) Append(entries ...Entry) error {
	limit := int(s.options.SegmentBytes) - segmentHeader
	for i := range entries {
		e := &entries[i]
		if len(e.Group) > maxGroup {
			return &TooLargeError{Group: e.Group, Bytes: len(e.Group), Max: maxGroup}
		}
		if e.size() > limit {
			return &TooLargeError{Group: e.Group, Bytes: len(e.Group) + len(e.Data), Max: limit - entryHeader}
		}
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	s.mu.Lock()
	next, over := s.next, s.over
	s.mu.Unlock()
	if over {
		return ErrClosed
	}
	now := time.Now()
	var failed error
	for limit = min(limit, chunkBytes); len(entries) > 0; {
		n, size := 0, 0
		for n < len(entries) && (n == 0 || size+entries[n].size() <= limit) {
			size += entries[n].size()
			n++
		}
		c := &chunk{first: next, last: next + Position(n) - 1, buf: make([]byte, 0, size)}
		for i := range entries[:n] {
			c.buf = appendEntry(c.buf, next, &entries[i])
			next++
		}
		entries = entries[n:]
		if err := s.put(c, now); err != nil {
			failed = err
		}
	}
	return failed
}

const chunkBytes = 256 << 10

// put writes c, or keeps it in memory, and shows it to the reader.
func (s *Spool) put(c *chunk, now time.Time) error {
	err := s.failure
	if err == nil || !now.Before(s.retryAt) {
		if err = s.flush(); err == nil {
			err = s.write(c)
			s.failing(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = c.last + 1
	s.chunks = append(s.chunks, c)
	if n := len(s.marks); n == 0 || now.Sub(s.marks[n-1].when) >= markEvery {
		s.marks = append(s.marks, mark{c.first, now})
	}
	if err == nil {
		c.durable = true
		s.cached += int64(len(c.buf))
		s.evict()
	} else {
		s.pending += int64(len(c.buf))
		s.inMemory += uint64(c.last - c.first + 1)
		s.forget()
	}
	s.wake()
	return err
}

// evict bounds the cache. The caller holds mu.
func (s *Spool) evict() {
	i := 0
	for ; s.cached > cacheBytes && s.chunks[i].durable && s.chunks[i].last != s.next-1; i++ {
		s.cached -= int64(len(s.chunks[i].buf))
		s.chunks[i] = nil
	}
	s.chunks = s.chunks[i:]
}

// forget bounds what the disk has refused: the oldest goes of which nothing is
// being published. The caller holds mu.
func (s *Spool) forget() {
	for s.pending > s.options.MemoryBytes {
		i := slices.IndexFunc(s.chunks, func(c *chunk) bool { return !c.durable && !s.inFlight(c.first, c.last) })
		if i < 0 {
			return // the newest alone: one entry may be larger than MemoryBytes
		}
		c := s.chunks[i]
		s.takeOut(i)
		s.drop(tallied(scan{buf: c.buf, prev: c.first - 1, trusted: true}, max(c.first, s.read+1), c.last))
	}
}

// takeOut removes a chunk. The caller holds mu.
func (s *Spool) takeOut(i int) {
	c := s.chunks[i]
	if c.durable {
		s.cached -= int64(len(c.buf))
	} else {
		s.pending -= int64(len(c.buf))
		s.inMemory -= uint64(c.last - c.first + 1)
	}
	if i == 0 {
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
	} else {
		s.chunks = slices.Delete(s.chunks, i, i+1)
	}
	s.from.leave(c.first, c.last)
}

// inFlight tells whether the reader has entries from first to last and has not
// acknowledged them. The caller holds mu.
func (s *Spool) inFlight(first, last Position) bool {
	return s.acked < s.read && first <= s.read && s.acked < last
}

// drop counts a loss. The caller holds mu.
func (s *Spool) drop(d *dropped) {
	for _, t := range d.Groups {
		s.lost += t.Count
	}
	s.dropped = addDropped(s.dropped, d, s.read)
	s.unsaved = true
}

// failing notes whether the disk takes what it is given. The caller holds
// appending.
func (s *Spool) failing(err error) {
	switch {
	case err != nil && s.failure == nil:
		s.log.Error("spool disk fails, entries are kept in memory", slog.Any("error", err))
	case err == nil && s.failure != nil:
		s.log.Info("spool disk is well again")
	}
	if err != nil {
		s.retryAt = time.Now().Add(retryAfter)
	}
	s.mu.Lock()
	s.failure = err
	s.mu.Unlock()
}

// flush writes what the disk has refused before. The caller holds appending.
func (s *Spool) flush() error {
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.chunks, func(c *chunk) bool { return !c.durable })
		if i < 0 {
			s.mu.Unlock()
			return nil
		}
		c := s.chunks[i]
		s.mu.Unlock()
		if err := s.write(c); err != nil {
			s.failing(err)
			return err
		}
		s.mu.Lock()
		if i := slices.Index(s.chunks, c); i >= 0 { // it was not acknowledged meanwhile
			c.durable = true
			s.cached += int64(len(c.buf))
			s.pending -= int64(len(c.buf))
			s.inMemory -= uint64(c.last - c.first + 1)
		}
		s.mu.Unlock()
	}
}

// write makes c the end of the newest segment, or of a new one. The caller holds
// appending.
func (s *Spool) write(c *chunk) error {
	s.makeRoom(int64(len(c.buf)) + segmentHeader)
	for freed := int64(0); ; {
		err := s.writeOnce(c)
		if err == nil {
			return nil
		}
		if !full(err.Err) || freed >= s.options.SegmentBytes {
			return err // somebody else fills the disk: to drop all would not help
		}
		n := s.dropOldest()
		if n == 0 {
			return err
		}
		freed += n
	}
}

func (s *Spool) writeOnce(c *chunk) *Error {
	s.mu.Lock()
	seg := s.writing
	fits := seg != nil && seg.size+int64(len(c.buf)) <= s.options.SegmentBytes && seg.last+1 == c.first
	s.mu.Unlock()
	if seg != nil && !fits {
		if err := s.leave(); err != nil {
			return err
		}
	}
	head := int64(0)
	if !fits {
		seg = &segment{first: c.first, last: c.first - 1, path: segmentPath(s.dir, c.first)}
		f, err := os.OpenFile(seg.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return &Error{"open", seg.path, err}
		}
		s.mu.Lock()
		s.active, s.writing = f, seg
		s.mu.Unlock()
		if _, err := s.options.write(f, segmentHead()); err != nil {
			return s.abandon(err)
		}
		head = segmentHeader
	}
	if _, err := s.options.write(s.active, c.buf); err != nil {
		return s.abandon(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.size == 0 {
		s.segments = append(s.segments, seg)
	}
	seg.size += head + int64(len(c.buf))
	s.bytes += head + int64(len(c.buf))
	seg.last, seg.dirty = c.last, true
	return nil
}

// leave ends the newest segment.
func (s *Spool) leave() *Error {
	seg, err := s.writing, s.active.Close()
	s.mu.Lock()
	s.active, s.writing = nil, nil
	s.mu.Unlock()
	if err != nil {
		return &Error{"write", seg.path, err}
	}
	return nil
}

// abandon ends the newest segment after a write that has failed: what is there of
// it is cut off.
func (s *Spool) abandon(cause error) *Error {
	seg := s.writing
	err := &Error{"write", seg.path, cause}
	var clean error
	if seg.size > 0 {
		clean = s.active.Truncate(seg.size) // if not, the reader knows what is none
	} else {
		clean = os.Remove(seg.path) // if not, the next try overwrites it
	}
	if clean != nil {
		s.log.Warn("spool cannot clean up after a failed write", slog.String("file", seg.path), slog.Any("error", clean))
	}
	if e := s.leave(); e != nil {
		s.log.Warn("spool cannot close a segment", slog.Any("error", e))
	}
	return err
}

// makeRoom drops segments until n more bytes are allowed.
func (s *Spool) makeRoom(n int64) {
	for {
		s.mu.Lock()
		enough := s.bytes+n <= s.options.MaxBytes
		s.mu.Unlock()
		if enough || s.dropOldest() == 0 {
			return
		}
	}
}
