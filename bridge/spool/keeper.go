package spool

import (
	"errors"
	"log/slog"
	"time"

	"github.com/apn/ami/bridge/internal/atomicfile"
)

// keep does what neither Append nor Ack should wait for.
func (s *Spool) keep() {
	ticker := time.NewTicker(min(ackInterval, s.options.Sync))
	defer ticker.Stop()
	synced := time.Now()
	failing := false
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		err := errors.Join(s.saveAcked(), s.removeAcked())
		if time.Since(synced) >= s.options.Sync {
			synced = time.Now()
			err = errors.Join(err, s.sync())
		}
		if err != nil && !failing {
			s.log.Error("spool cannot be kept up", slog.Any("error", err))
		}
		failing = err != nil
		s.retry()
	}
}

// saveAcked writes the acknowledged position and the losses if they are new.
func (s *Spool) saveAcked() error {
	s.mu.Lock()
	acked, dropped := s.acked != s.persisted, s.unsaved
	s.mu.Unlock()
	switch {
	case dropped:
		return s.persistDropped()
	case acked:
		return s.persist(false)
	}
	return nil
}

// Sync forces to the disk what was appended before the call, beside the appends.
// It returns an *Error if the disk refuses it, or refuses entries, which are in
// memory then.
func (s *Spool) Sync() error {
	if err := s.sync(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inMemory > 0 && s.failure != nil {
		return &Error{"sync", s.dir, s.failure}
	}
	return nil
}

// sync forces what was appended to the disk. It is open in nobody's hands
// meanwhile: appends go on.
func (s *Spool) sync() error {
	s.syncing.Lock() // else one would return while the other syncs
	defer s.syncing.Unlock()
	s.mu.Lock()
	var dirty []*segment
	for _, seg := range s.segments {
		if seg.dirty {
			seg.dirty = false
			dirty = append(dirty, seg)
		}
	}
	s.mu.Unlock()
	if len(dirty) == 0 {
		return nil
	}
	var errs []error
	for _, seg := range dirty {
		if err := syncPath(seg.path); err != nil {
			s.mu.Lock()
			seg.dirty = true
			s.mu.Unlock()
			errs = append(errs, err)
		}
	}
	if err := atomicfile.SyncNames(s.dir); err != nil {
		errs = append(errs, &Error{"sync", s.dir, err})
	}
	return errors.Join(errs...)
}

// retry gives the disk another chance when nobody appends.
func (s *Spool) retry() {
	s.appending.Lock()
	defer s.appending.Unlock()
	if s.failure == nil || time.Now().Before(s.retryAt) {
		return
	}
	if s.flush() == nil {
		s.failing(nil)
	}
}
