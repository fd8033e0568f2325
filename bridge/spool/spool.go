package spool

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// A Spool may be used from any goroutine. Appends run one after the other, and so
// do Reads; neither waits for the other but for memory to be looked at, and, when
// the spool is full, for one segment to be counted.
type Spool struct {
	dir     string
	options Options
	log     *slog.Logger
	lock    *flock.Flock

	stop   chan struct{} // ends the keeper
	kept   sync.WaitGroup
	more   chan struct{} // there may be something to read
	closed chan struct{}

	// Locks are taken in this order.
	reading   sync.Mutex
	appending sync.Mutex // the writing of segments
	syncing   sync.Mutex
	keeping   sync.Mutex // the writing of the state file
	mu        sync.Mutex

	active  *os.File  // the newest segment, if there is one to append to; appending
	failure error     // of the disk, which is not used until retryAt; changed under appending and mu
	retryAt time.Time // appending
	failed  int       // Reads that the disk has refused in a row; reading

	// All below: mu.
	over      bool // closed
	segments  []*segment
	writing   *segment // that of active
	chunks    []*chunk // the newest of the stream; those that are durable come first
	cached    int64    // bytes of durable chunks
	pending   int64    // bytes of the others
	next      Position // of the next entry
	read      Position // the last one that the reader was given
	acked     Position
	persisted Position // acked, as it stands in the state file
	dropped   []*dropped
	unsaved   bool // dropped has changed since it was written
	from      cursor
	loading   *segment // that the reader is reading just now
	marks     []mark
	lost      uint64
	told      Position // up to here, damage is counted in lost
	inMemory  uint64   // entries of pending chunks
	bytes     int64    // of all segments
}

const (
	cacheBytes  = 4 << 20 // of what was appended last
	ackInterval = 200 * time.Millisecond
	retryAfter  = time.Second
	markEvery   = time.Second
)

// A mark remembers when an entry was appended.
type mark struct {
	pos  Position
	when time.Time
}

// Open opens the spool in dir, which is made if it is not there, and goes on where
// it was left: at the first entry that was not acknowledged, as far as that had
// been written. The directory is locked until Close.
//
// It returns a *ConfigError, or an *Error, whose cause is ErrLocked or ErrNewer
// where one of them is the reason. A damaged state file is logged: all that there
// is is read again.
func Open(dir string, options Options) (*Spool, error) {
	options, err := options.checked()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &Error{"open", dir, err}
	}
	s := &Spool{
		dir: dir, options: options, log: options.Logger.With(slog.String("spool", dir)),
		lock: flock.New(filepath.Join(dir, "lock")),
		stop: make(chan struct{}), more: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	locked, err := s.lock.TryLock()
	if err == nil && !locked {
		err = ErrLocked
	}
	if err != nil {
		return nil, &Error{"lock", s.lock.Path(), err}
	}
	if err := s.restore(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.kept.Go(s.keep)
	return s, nil
}

// restore takes up what the directory has.
func (s *Spool) restore() error {
	st, err := readState(s.dir)
	switch {
	case errors.Is(err, errDamaged):
		s.log.Warn("spool state damaged, entries will be read again", slog.Any("error", err))
	case err != nil:
		return err
	}
	segments, changed, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	s.acked, s.read, s.persisted, s.dropped = st.Acked, st.Acked, st.Acked, st.Dropped
	s.next = s.acked + 1
	for _, d := range s.dropped {
		s.next = max(s.next, d.Last+1)
	}
	if n := len(segments); n > 0 {
		newest := segments[n-1]
		cut, err := newest.recoverTail()
		if err != nil {
			return err
		}
		if cut > 0 {
			s.log.Warn("spool tail cut off", slog.String("file", newest.path), slog.Int64("bytes", cut))
		}
		s.next = max(s.next, newest.first, newest.last+1)
	}
	for i, seg := range segments {
		if seg.last < seg.first || seg.last <= s.acked || s.wasDropped(seg) {
			if err := os.Remove(seg.path); err != nil {
				return &Error{"write", seg.path, err}
			}
			continue
		}
		s.segments = append(s.segments, seg)
		s.marks = append(s.marks, mark{seg.first, changed[i]})
		s.bytes += seg.size
	}
	s.wake()
	return nil
}

// wasDropped tells whether the process died between the note of a drop and the
// removal of the file.
func (s *Spool) wasDropped(seg *segment) bool {
	for _, d := range s.dropped {
		if d.First <= max(seg.first, s.acked+1) && seg.last <= d.Last {
			return true
		}
	}
	return false
}

func (s *Spool) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Stats are figures of a Spool.
type Stats struct {
	Last     Position      // of the newest entry
	Entries  uint64        // appended and neither acknowledged nor lost, as far as is known
	Bytes    int64         // of the segments on disk
	Segments int           // files
	InMemory uint64        // entries that the disk has refused, and that the death of the process would lose
	Lost     uint64        // entries dropped since Open, and those found damaged by Read
	Failure  error         // why the disk is not used for now; nil: it is
	Oldest   time.Duration // since the oldest entry that is not acknowledged was appended, up to 1 s too much, or since the last change of its segment if that was before Open
}

// Stats returns figures of the moment.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Last: s.next - 1, Bytes: s.bytes, Segments: len(s.segments), InMemory: s.inMemory, Lost: s.lost, Failure: s.failure}
	st.Entries = uint64(s.next - 1 - s.acked)
	for _, d := range s.dropped {
		st.Entries -= min(st.Entries, uint64(d.Last-max(d.First, s.acked+1)+1))
	}
	if st.Entries > 0 && len(s.marks) > 0 {
		st.Oldest = max(time.Since(s.marks[0].when), 0)
	}
	return st
}

// Close writes what is acknowledged, forces everything to the disk and gives the
// directory free. A Read that waits ends with ErrClosed. The *Error tells what
// could not be written; the spool is closed all the same. Further calls do
// nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		<-s.closed
		return nil
	}
	s.over = true
	s.mu.Unlock()
	close(s.stop)
	s.kept.Wait()

	s.appending.Lock()
	defer s.appending.Unlock()
	errs := []error{s.flush()}
	if s.active != nil {
		if err := s.active.Close(); err != nil {
			errs = append(errs, &Error{"write", s.writing.path, err})
		}
		s.mu.Lock()
		s.active, s.writing = nil, nil
		s.mu.Unlock()
	}
	errs = append(errs, s.persist(true), s.removeAcked(), s.sync())
	if err := s.lock.Close(); err != nil {
		errs = append(errs, &Error{"lock", s.lock.Path(), err})
	}
	close(s.closed)
	return errors.Join(errs...)
}
