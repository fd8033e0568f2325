package ami_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
)

// TestS1S2PermissionDenied: an action that the user may not execute fails with
// Asterisk's message, whatever the line ends, and nothing behind it stalls (B1,
// C4).
func TestS1S2PermissionDenied(t *testing.T) {
	lf := func(_ int, msg []byte) []byte { return bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")) }
	for _, tc := range []struct {
		name    string
		rewrite []amitest.Rewrite
	}{
		{"S1 CRLF", nil},
		{"S2 LF", []amitest.Rewrite{lf}},
		{"S2 mixed", []amitest.Rewrite{func(n int, msg []byte) []byte {
			if n%2 == 0 {
				return msg
			}
			return lf(n, msg)
		}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(amitest.Faults{Rewrite: tc.rewrite})
				c := dial(t, srv)
				sub := c.Subscribe(ami.Named("Test"))
				start := time.Now()
				before := c.Start(t.Context(), action.Ping{})
				denied := c.Start(t.Context(), action.Command{Command: "core show channels"})
				behind := c.Start(t.Context(), action.Ping{})
				srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "1"))

				_, err := denied.Result()
				e, ok := errors.AsType[*ami.ActionError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, "Permission denied", e.Message)
				require.Equal(t, "pbx1", e.Node)
				require.Equal(t, "Command", e.Action)
				for _, p := range []*ami.Pending{before, behind} {
					r, err := p.Result()
					require.NoError(t, err)
					require.Equal(t, "Pong", r.Get("Ping"))
				}
				require.Equal(t, "1", next(t, sub).Get("N"))
				require.Equal(t, start, time.Now(), "nothing waited for anything")
				require.Zero(t, c.Stats().Pending)
				require.Zero(t, c.Stats().Rejected)
			}, amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Write: amitest.ClassReporting}))
		})
	}
}

// TestS3ErrorWithoutActionID: it is counted, and no pending action takes it for
// its own, not even the only one (C9).
func TestS3ErrorWithoutActionID(t *testing.T) {
	for _, pending := range []int{1, 20} {
		t.Run(fmt.Sprint(pending, " pending"), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				calls := make(chan *amitest.Call, pending)
				srv.Handle("Hold", func(c *amitest.Call) { calls <- c })
				c := dial(t, srv)
				var all []*ami.Pending
				for i := range pending {
					all = append(all, c.Start(t.Context(), action.Custom("Hold", "N", fmt.Sprint(i))))
				}
				synctest.Wait()
				for range 3 {
					require.NoError(t, srv.Sessions()[0].Send([]byte("Response: Error\r\nMessage: Missing action in request\r\n\r\n")))
				}
				synctest.Wait()
				require.EqualValues(t, 3, c.Stats().Unmatched)
				require.Equal(t, pending, c.Stats().Pending)
				for range all {
					call := <-calls
					call.Respond(amitest.F("N", call.Get("N")))
				}
				for i, p := range all {
					r, err := p.Result()
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(i), r.Get("N"))
				}
			})
		})
	}
}

// TestS4BannerAndFirstResponse: the answer to the login is found where it comes
// in one segment with the banner, and where both come in pieces (B1, B5).
func TestS4BannerAndFirstResponse(t *testing.T) {
	const banner = "Asterisk Call Manager/11.0.0"
	t.Run("one segment", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv)
			// The next login's ActionID is known beforehand: the instance stays
			// and the number is one more. The real answer comes too late.
			head, _, _ := strings.Cut(srv.Ledger()[0].ActionID, ":")
			require.Equal(t, "pbx1", head)
			id := srv.Ledger()[0].ActionID
			id = id[:strings.LastIndexByte(id, ':')+1] + "2"
			early := []byte("Response: Success\r\nActionID: " + id + "\r\nMessage: Authentication accepted\r\n\r\n")
			srv.SetFaults(amitest.Faults{LoginDelay: time.Hour, Rewrite: []amitest.Rewrite{amitest.InsertAfter(0, early)}})
			srv.Sessions()[0].Kick()
			synctest.Wait()
			var connected time.Time
			for change := range c.StateChanges(t.Context()) {
				if change.To == ami.Connected {
					connected = change.At
				}
				if change.To == ami.Ready {
					require.Equal(t, connected, change.At, "the answer was there already")
					break
				}
				require.Zero(t, c.Stats().Failures)
			}
			require.Equal(t, banner, c.Stats().Banner)
		})
	})
	for _, pieces := range []int{1, 7, len(banner), len(banner) + 1, len(banner) + 2} {
		t.Run(fmt.Sprintf("pieces of %d", pieces), func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				srv.SetFaults(amitest.Faults{SplitEvery: pieces, SplitPause: time.Millisecond})
				c := dial(t, srv)
				require.Equal(t, banner, c.Stats().Banner)
				require.EqualValues(t, 1, c.Stats().Connects)
				require.Zero(t, c.Stats().Failures)
			})
		})
	}
}

// TestS5SevenBytePieces: a frame that comes in pieces of 7 bytes, 2 ms apart, is
// one frame, delivered with its last byte and no earlier (B1).
func TestS5SevenBytePieces(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		synctest.Wait()
		require.EqualValues(t, 1, c.Stats().Events, "FullyBooted")
		sub := c.Subscribe()
		wire := "Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: Test\r\nVariable: a\r\nVariable: b\r\n\r\n"
		srv.Sessions()[0].SetFaults(amitest.Faults{SplitEvery: 7, SplitPause: 2 * time.Millisecond})
		start := time.Now()
		srv.Broadcast("UserEvent", amitest.ClassUser, amitest.F("UserEvent", "Test"), amitest.F("Variable", "a"), amitest.F("Variable", "b"))
		e := next(t, sub)
		require.Equal(t, wire, e.Frame.Wire())
		require.Equal(t, time.Duration((len(wire)-1)/7)*2*time.Millisecond, time.Since(start))
		_, err := c.Send(t.Context(), action.Ping{})
		require.NoError(t, err)
		require.EqualValues(t, 2, c.Stats().Events, "FullyBooted and this one")
		require.Zero(t, c.Stats().Rejected)
	})
}

// TestS6HalfAFrame: the good frame behind a half one arrives, and the half one
// never counts as whole (B2, B3).
func TestS6HalfAFrame(t *testing.T) {
	half := "Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: Half"
	for _, tc := range []struct {
		name string
		send func(*testing.T, *ami.Client, *amitest.Session)
		gaps int
	}{
		{"then the rest, much later", func(t *testing.T, c *ami.Client, s *amitest.Session) {
			require.NoError(t, s.Send([]byte(half)))
			time.Sleep(20 * time.Second) // fake
			require.EqualValues(t, 1, c.Stats().Events, "half an event is none")
			require.NoError(t, s.Send([]byte("\r\n\r\n")))
		}, 0},
		{"then the end of the session", func(_ *testing.T, _ *ami.Client, s *amitest.Session) { s.CloseMidFrame() }, 1},
		{"then a line that has no end", func(t *testing.T, _ *ami.Client, s *amitest.Session) {
			require.NoError(t, s.Send([]byte(half)))
			before := heapInUse()
			piece := bytes.Repeat([]byte("x"), 100<<10)
			for range 300 { // 30 MB
				require.NoError(t, s.Send(piece))
			}
			synctest.Wait()
			require.Less(t, heapInUse(), before+8<<20)
			require.NoError(t, s.Send([]byte("\r\n\r\n")))
		}, 0},
		{"then lines without end", func(t *testing.T, _ *ami.Client, s *amitest.Session) {
			require.NoError(t, s.Send([]byte(half)))
			before := heapInUse()
			piece := []byte("\r\nH: v" + strings.Repeat("\r\nHeader: value", 10_000))
			for range 200 { // 30 MB
				require.NoError(t, s.Send(piece))
			}
			synctest.Wait()
			require.Less(t, heapInUse(), before+8<<20)
			require.NoError(t, s.Send([]byte("\r\n\r\n")))
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				sub := c.Subscribe(ami.Named("Test"))
				tc.send(t, c, srv.Sessions()[0])
				synctest.Wait()
				require.NoError(t, c.Ready(t.Context()))
				srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "1"))
				for range tc.gaps {
					_, gap := next(t, sub).Gap()
					require.True(t, gap)
				}
				e := next(t, sub)
				require.Equal(t, "1", e.Get("N"))
				require.Equal(t, "Event: Test\r\nPrivilege: user,all\r\nN: 1\r\n\r\n", e.Frame.Wire())
				_, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
			})
		})
	}
}

// heapInUse is the live heap. It is exact enough for megabytes.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestS7Garbage: what stands between two good frames harms neither (B3, B8).
func TestS7Garbage(t *testing.T) {
	for _, tc := range []struct{ name, garbage string }{
		{"blank lines", "\r\n\r\n\n\n\r\n"},
		{"no colon", "manager is confused\r\n\r\n"},
		{"binary", "\x00\xff\xfe:\x01\r\n\r\n"},
		{"empty key", ":\r\n: x\r\n\n"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\nServer: Asterisk\r\n\r\n"},
		{"10 KB without a line end", strings.Repeat("\xa5", 10_000) + "\r\n\r\n"},
		{"300 KB in one line", strings.Repeat("\xa5", 300_000) + "\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				c := dial(t, srv)
				sub := c.Subscribe(ami.Named("Test"))
				for i := range 3 {
					srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", fmt.Sprint(i)))
					synctest.Wait()
					require.NoError(t, srv.Sessions()[0].Send([]byte(tc.garbage)))
				}
				_, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
				for i := range 3 {
					require.Equal(t, fmt.Sprintf("Event: Test\r\nPrivilege: user,all\r\nN: %d\r\n\r\n", i), next(t, sub).Frame.Wire())
				}
				require.EqualValues(t, 1, c.Stats().Connects, "the session lives")
			})
		})
	}
}

// TestS8OversizeFrame: a frame of 200 KB over a limit of 64 KiB is a typed error
// and the next frame is good (B2, B3).
func TestS8OversizeFrame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values int
		reason frame.Reason
	}{
		{"one line", 1, frame.LineTooLong},
		{"many lines", 200, frame.TooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				var fields []frame.Field
				for range tc.values {
					fields = append(fields, amitest.F("Value", strings.Repeat("x", 200<<10/tc.values)))
				}
				srv.Handle("Long", func(c *amitest.Call) { c.Respond(fields...) })
				log := newLogbook()
				c := dial(t, srv, ami.WithLimits(frame.Limits{Frame: 64 << 10}), ami.WithLogger(slog.New(log)))
				sub := c.Subscribe(ami.Named("Test", "Long"))

				_, err := c.Send(t.Context(), action.Custom("Long")) // as an answer
				e, ok := errors.AsType[*ami.ProtocolError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, "pbx1", e.Node)
				require.Equal(t, "Long", e.Action)
				require.Equal(t, tc.reason, e.Err.Reason)
				require.Equal(t, 64<<10, e.Err.Limit)

				srv.Broadcast("Long", amitest.ClassUser, fields...) // as an event
				srv.Broadcast("Test", amitest.ClassUser, amitest.F("N", "1"))
				require.Equal(t, "1", next(t, sub).Get("N"), "the next frame is good")
				synctest.Wait()
				require.EqualValues(t, 2, c.Stats().Rejected)
				require.EqualValues(t, 1, c.Stats().Connects)
				require.Zero(t, c.Stats().Pending)
				found := log.find("malformed message discarded")
				require.Len(t, found, 2)
				require.Equal(t, string(tc.reason), found[1]["reason"])
			})
		})
	}
}

// TestS9CommandOutput: output over its limit fails that action only, in the form
// of today and in that of Asterisk 13 (B2, B7).
func TestS9CommandOutput(t *testing.T) {
	for _, tc := range []struct {
		name string
		line string // of the output
		head string
		tail string
	}{
		{"headers", "Output: " + strings.Repeat("x", 90) + "\r\n", "Response: Success\r\nActionID: %s\r\nMessage: Command output follows\r\n", "\r\n"},
		{"follows", strings.Repeat("x", 98) + "\n", "Response: Follows\r\nPrivilege: Command\r\nActionID: %s\r\n", "--END COMMAND--\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *amitest.Server) {
				const limit = 64 << 10
				lines := map[string]int{"short": limit/len(tc.line) - 1, "long": limit/len(tc.line) + 1, "endless": 100 * limit / len(tc.line)}
				srv.Handle("Command", func(c *amitest.Call) {
					c.Raw(fmt.Appendf(nil, tc.head, c.ActionID()))
					for range lines[c.Get("Command")] {
						c.Raw([]byte(tc.line))
					}
					c.Raw([]byte(tc.tail))
				})
				c := dial(t, srv, ami.WithLimits(frame.Limits{Command: limit}))
				for _, long := range []string{"long", "endless"} {
					behind := make(chan error, 1)
					p := c.Start(t.Context(), action.Command{Command: long})
					go func() {
						_, err := c.Send(t.Context(), action.Ping{})
						behind <- err
					}()
					_, err := p.Result()
					e, ok := errors.AsType[*ami.ProtocolError](err)
					require.True(t, ok, "%v", err)
					require.Equal(t, frame.CommandTooLarge, e.Err.Reason)
					require.Equal(t, "Command", e.Action)
					require.Equal(t, p.ActionID(), e.ActionID)
					require.NoError(t, <-behind, "what waits behind it is answered")
				}
				r, err := c.Send(t.Context(), action.Command{Command: "short"})
				require.NoError(t, err)
				require.Len(t, r.Output(), lines["short"])
				require.EqualValues(t, 1, c.Stats().Connects, "the session lives")
				require.Zero(t, c.Stats().Pending)
			})
		})
	}
}
