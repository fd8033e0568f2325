package amitest

import (
	"context"
	"time"

	"github.com/apn/ami/frame"
)

// floodAhead is how far Flood may run ahead of the slowest session.
const floodAhead = 4096

// Flood broadcasts n UserEvents of class user, about 460 bytes each: perSecond
// of them, or with 0 as fast as the sessions take them. Their header Seq counts
// from 1; the fields are added to each. It returns when all are queued, or
// with the error of ctx.
func (srv *Server) Flood(ctx context.Context, perSecond, n int, fields ...frame.Field) error {
	start := time.Now()
	for i := 1; i <= n; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if perSecond > 0 {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			if !sleep(ctx, time.Until(due)) {
				return ctx.Err()
			}
		} else if i%256 == 0 {
			if err := srv.waitBacklog(ctx); err != nil {
				return err
			}
		}
		srv.Broadcast("UserEvent", ClassUser, floodFields(i, fields)...)
	}
	return nil
}

// waitBacklog waits until no session lags far behind.
func (srv *Server) waitBacklog(ctx context.Context) error {
	return srv.wait(ctx, func() bool {
		for _, s := range srv.sessions {
			if s.backlog() > floodAhead {
				return false
			}
		}
		return true
	})
}

// floodFields has the size of the common call event.
func floodFields(seq int, more []frame.Field) []frame.Field {
	return append([]frame.Field{
		F("UserEvent", "Flood"),
		number("Seq", seq),
		F("Channel", "PJSIP/2001-0000001f"),
		F("ChannelState", "6"),
		F("ChannelStateDesc", "Up"),
		F("CallerIDNum", "2001"),
		F("CallerIDName", "Alice Example"),
		F("ConnectedLineNum", "2002"),
		F("ConnectedLineName", "Bob Example"),
		F("Language", "en"),
		F("AccountCode", ""),
		F("Context", "default"),
		F("Exten", "2002"),
		F("Priority", "3"),
		F("Uniqueid", "pbx1-1795419831.134"),
		F("Linkedid", "pbx1-1795419831.134"),
		F("Variable", "FLOOD"),
		F("Value", "the quick brown fox jumps over the lazy dog and home"),
	}, more...)
}
