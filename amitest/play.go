package amitest

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/frame"
)

// A Playback is a recording and how [Server.Play] plays it.
type Playback struct {
	// Records yields the recording from its begin, each time that it is called:
	// once for each session and round. Those of a [recording.File] do. It is called
	// by several goroutines at once. An error ends Play, but for
	// [recording.ErrCut], which is taken for the end of the recording.
	Records iter.Seq2[recording.Record, error]

	// Speed divides the recorded pauses: 2 plays twice as fast. 0, or what is not
	// above it, plays as fast as the client takes it.
	Speed float64

	// Loop begins anew at the end, for ever; after a round of which the session
	// wanted nothing, with a pause of a second.
	Loop bool
}

// Play plays a recording to every session that is logged in or logs in while it
// runs, to each from the begin of the recording on, counted from its login. It
// returns when ctx ends, with its error, when the server is closed, with nil, or when
// the recording cannot be read, with that error; and all playing has ended then.
//
// It plays events alone. Answers to actions come from the server, as ever, so that
// nothing has an ActionID that the client did not choose, but for the events that
// Asterisk itself sends to everybody with the ActionID of another client. Left out are
// thus responses, items and ends of lists, and a FullyBooted that begins the
// recording: it is the answer to the login of the recorder, and each login here has
// its own. Gaps and lost events are pauses.
//
// Events go the way of [Server.Broadcast]: classes, taken from the header Privilege,
// event mask and filters decide who gets them, and no event is sent while an action
// runs. A session that does not read is ended after its write timeout, as Asterisk
// does. While 4096 events wait in a session, whose action takes its time, playing to
// it waits, and then makes up for it.
func (srv *Server) Play(ctx context.Context, p Playback) error {
	all, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(srv.ctx, func() { cancel(nil) })()
	var playing sync.WaitGroup
	defer playing.Wait()
	played := make(map[*Session]bool)
	for {
		var fresh []*Session
		err := srv.wait(all, func() bool {
			fresh = srv.freshLocked(played)
			return len(fresh) > 0
		})
		switch {
		case err == nil:
		case srv.ctx.Err() != nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return context.Cause(all)
		}
		for _, s := range fresh {
			playing.Go(func() {
				if err := p.playTo(all, s); err != nil {
					cancel(err)
				}
			})
		}
	}
}

// freshLocked returns the sessions that are logged in and were not seen before, and
// forgets those that have ended.
func (srv *Server) freshLocked(seen map[*Session]bool) (fresh []*Session) {
	for s := range seen {
		seen[s] = false
	}
	for _, s := range srv.sessions {
		_, known := seen[s]
		if !known && s.user.Load() == nil {
			continue
		}
		if !known {
			fresh = append(fresh, s)
		}
		seen[s] = true
	}
	for s, live := range seen {
		if !live {
			delete(seen, s)
		}
	}
	return fresh
}

// playTo plays to one session until it or ctx ends. The error is that of the recording.
func (p *Playback) playTo(ctx context.Context, s *Session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for {
		wanted, err := p.round(ctx, s)
		if err != nil || ctx.Err() != nil || !p.Loop {
			return err
		}
		if !wanted && !sleep(ctx, time.Second) { // or it would spin
			return nil
		}
	}
}

// round plays the recording once and tells whether the session wanted any of it.
func (p *Playback) round(ctx context.Context, s *Session) (wanted bool, err error) {
	start := time.Now()
	first := true
	for rec, err := range p.Records {
		if errors.Is(err, recording.ErrCut) {
			return wanted, nil
		}
		if err != nil {
			return wanted, err
		}
		if !p.due(ctx, s, start, rec.At) {
			return wanted, nil
		}
		if rec.Event == nil || rec.Event.Kind() != frame.Event {
			continue
		}
		greeting := first && rec.Event.Name() == "FullyBooted"
		first = false
		if greeting || !isBroadcast(rec.Event) {
			continue
		}
		e := queued{
			at: time.Now(), class: classesOf(rec.Event.Get("Privilege")),
			name: rec.Event.Name(), text: []byte(rec.Event.Wire()),
		}
		wanted = wanted || s.wants(e.class)
		s.queue(e)
	}
	return wanted, nil
}

// due waits until the time of a record has come, and the session does not lag far
// behind.
func (p *Playback) due(ctx context.Context, s *Session, start time.Time, at time.Duration) bool {
	if p.Speed > 0 {
		after := min(float64(at)/p.Speed, math.MaxInt64/2)
		if !sleep(ctx, time.Until(start.Add(time.Duration(after)))) {
			return false
		}
	}
	if s.backlog() > floodAhead {
		return s.srv.wait(ctx, func() bool { return s.backlog() <= floodAhead }) == nil
	}
	return ctx.Err() == nil
}

// isBroadcast tells an event from an item of a list, which has no Privilege; those of
// Status have one.
func isBroadcast(f *frame.Frame) bool {
	_, broadcast := f.Lookup("Privilege")
	return f.Kind() == frame.Event && broadcast && f.Name() != "Status"
}

// classesOf reads the header Privilege, whose "all" says nothing: it ends each.
func classesOf(privilege string) (all Class) {
	for name := range strings.SplitSeq(privilege, ",") {
		for _, n := range classNames {
			if n.name == name {
				all |= n.class
			}
		}
	}
	return all
}
