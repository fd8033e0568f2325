package spool

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
)

// dropOldest removes the oldest segment of which nothing is being published or
// read, and returns how many bytes it had, 0 if there was none. The caller holds
// appending.
//
// The loss is noted before the file goes, so that it is known whenever the process
// dies.
func (s *Spool) dropOldest() (freed int64) {
	s.mu.Lock()
	i := slices.IndexFunc(s.segments, func(g *segment) bool {
		return g != s.writing && g != s.loading && !s.inFlight(g.first, g.last)
	})
	if i < 0 {
		s.mu.Unlock()
		return 0
	}
	seg := s.segments[i]
	if seg.last > s.read {
		// The reader waits meanwhile: it must not pass by what is not counted yet.
		buf, err := seg.load(segmentHeader, seg.size)
		if err != nil {
			s.log.Warn("spool segment to drop cannot be read", slog.Any("error", err))
		}
		d := tallied(scan{buf: buf, prev: seg.first - 1}, max(seg.first, s.read+1), seg.last)
		s.drop(d)
		s.log.Warn("spool full, oldest entries dropped", slog.Uint64("entries", uint64(d.Last-d.First+1)))
	}
	s.removeSegment(i)
	for i := chunkFor(s.chunks, seg.first); i < len(s.chunks) && s.chunks[i].last <= seg.last; {
		s.takeOut(i)
	}
	s.mu.Unlock()
	if err := s.persistDropped(); err != nil {
		s.log.Warn("spool losses not written", slog.Any("error", err)) // their number follows from the positions
	}
	if err := unlink(seg); err != nil {
		s.log.Warn("spool segment not removed", slog.Any("error", err))
	}
	return seg.size
}

// removeSegment takes one off the list. The caller holds mu.
func (s *Spool) removeSegment(i int) {
	seg := s.segments[i]
	s.bytes -= seg.size
	s.segments = slices.Delete(s.segments, i, i+1)
	s.from.leave(seg.first, seg.last)
}

func unlink(seg *segment) error {
	if err := os.Remove(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &Error{"write", seg.path, err}
	}
	return nil
}

func (s *Spool) persistDropped() error {
	s.mu.Lock()
	s.unsaved = false
	s.mu.Unlock()
	err := s.persist(false)
	if err != nil {
		s.mu.Lock()
		s.unsaved = true
		s.mu.Unlock()
	}
	return err
}

// removeAcked removes segments of which everything is acknowledged, by a position
// that is on the disk before they are gone: else they would be missed.
func (s *Spool) removeAcked() error {
	s.mu.Lock()
	i := s.ackedSegments()
	s.mu.Unlock()
	if i == 0 {
		return nil
	}
	if err := s.persist(true); err != nil {
		return err
	}
	s.mu.Lock()
	var gone []*segment
	for range s.ackedSegments() {
		if s.segments[0].last > s.persisted {
			break
		}
		gone = append(gone, s.segments[0])
		s.removeSegment(0)
	}
	s.mu.Unlock()
	var errs []error
	for _, seg := range gone {
		if err := unlink(seg); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ackedSegments counts those at the front that may go. The caller holds mu.
func (s *Spool) ackedSegments() (n int) {
	for n < len(s.segments) && s.segments[n].last <= s.acked && s.segments[n] != s.writing && s.segments[n] != s.loading {
		n++
	}
	return n
}
