package amitest

import (
	"net"
	"time"
)

// output is the state of what a session writes.
type output struct {
	frames int   // messages so far; the banner is number 0
	bytes  int64 // bytes so far
	muted  bool  // nothing is written any more, and nobody is told
}

// write sends one whole message, unless a fault mangles it.
func (s *Session) write(msg []byte) error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	n := s.out.frames
	s.out.frames++
	for _, rewrite := range s.currentFaults().Rewrite {
		msg = rewrite(n, msg)
	}
	return s.put(msg)
}

// put writes bytes, in pieces if the faults say so. The caller holds writing.
func (s *Session) put(p []byte) error {
	f := s.currentFaults()
	piece := len(p)
	if f.SplitEvery > 0 {
		piece = f.SplitEvery
	}
	for len(p) > 0 && !s.out.muted {
		n := min(piece, len(p))
		cut := f.cutAfter()
		if cut > 0 {
			n = int(min(int64(n), cut-s.out.bytes))
		}
		if n > 0 {
			if err := s.putOnce(p[:n]); err != nil {
				return err
			}
		}
		p = p[max(n, 0):]
		if cut > 0 && s.out.bytes >= cut {
			return s.cut(f)
		}
		if len(p) > 0 && f.SplitPause > 0 {
			sleep(s.ctx, f.SplitPause)
		}
	}
	return nil
}

// putOnce is one write: it must end within the write timeout, counted from
// its start, or the session ends without a word (ast_iostream_write,
// send_string).
func (s *Session) putOnce(p []byte) error {
	limit := s.srv.cfg.writeTimeout
	if u := s.user.Load(); u != nil && u.WriteTimeout > 0 {
		limit = u.WriteTimeout
	}
	// Asterisk writes before it waits (main/iostream.c:ast_iostream_write): what there
	// is room for is written, however late this goroutine gets its turn.
	done := 0
	if m, ok := s.conn.(*memConn); ok {
		done = m.offer(p)
	}
	if limit > 0 {
		_ = s.conn.SetWriteDeadline(time.Now().Add(limit))
	}
	var n int
	var err error
	if done < len(p) || len(p) == 0 {
		n, err = s.conn.Write(p[done:])
	}
	s.out.bytes += int64(done + n)
	if err != nil {
		s.kill()
	}
	return err
}

// cut ends the connection in the middle of what is written.
func (s *Session) cut(f Faults) error {
	if f.ResetAfterBytes > 0 {
		s.Reset()
	} else {
		s.kill()
	}
	return net.ErrClosed
}

// mute makes the session say nothing any more, or talk again.
func (s *Session) mute(on bool) {
	s.writing <- struct{}{}
	s.out.muted = on
	<-s.writing
}
