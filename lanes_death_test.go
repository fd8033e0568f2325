package ami_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/strategy"
)

// TestLaneDiesUnderThousand: all that is pending on the lane fails at once, and
// exactly so, nothing on the other session does, and the next session of the lane
// sees none of it (C3, C5, C6).
func TestLaneDiesUnderThousand(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		const sent, unsent, others = 1000, 100, 10
		hold := func(*amitest.Call) {}
		srv.Handle("Hold", hold)
		srv.Handle("Filter", hold)
		c, socket := dialStuck(t, srv, ami.WithActionLanes(1)) // the lane's is dialled last
		ctx := t.Context()
		var written, queued, elsewhere []*ami.Pending
		for i := range sent {
			if written = append(written, c.Start(ctx, action.Custom("Hold"), ami.WaitForRoom())); i%100 == 0 {
				synctest.Wait()
			}
		}
		for range others {
			elsewhere = append(elsewhere, c.Start(ctx, action.New("Filter")))
		}
		synctest.Wait()
		gate := make(chan struct{})
		socket.gate.Store(&gate)
		stuck := c.Start(ctx, action.Ping{}) // its bytes are with the socket
		synctest.Wait()
		for range unsent {
			queued = append(queued, c.Start(ctx, action.Custom("Hold")))
		}
		require.Equal(t, sent+unsent+1, c.Stats().Lanes[0].Pending)
		require.Equal(t, unsent, c.Stats().Outbound)
		start := time.Now()
		srv.Session(laneSession).Kick()
		close(gate)
		died(t, stuck, 1, true)
		for _, p := range written {
			died(t, p, 1, true)
		}
		for _, p := range queued {
			died(t, p, 1, false)
		}
		require.Zero(t, time.Since(start), "at once")
		require.Equal(t, others, c.Stats().Pending)
		require.Equal(t, ami.Ready, c.State())
		for _, p := range elsewhere {
			require.NotEmpty(t, p.ActionID())
			select {
			case <-p.Done():
				require.Fail(t, "it is pending on a session that lives")
			default:
			}
		}
		for c.Stats().Lanes[0].State != ami.Ready {
			time.Sleep(100 * time.Millisecond) // fake
		}
		_, err := c.Send(ctx, action.New("CoreStatus"))
		require.NoError(t, err)
		require.Len(t, srv.LedgerOf(laneSession), 1+sent, "login and what was written")
		require.Len(t, srv.LedgerOf(laneSession+1), 2, "login and the new one")
		srv.Session(eventSession).Kick()
		for _, p := range elsewhere {
			died(t, p, 0, true)
		}
	})
}

// TestSessionsDieAtRandom: both kinds of session die at any time. No action runs
// twice, none that is called unsent ran, each that was answered did, and nothing
// stays behind (A4, C3, C5).
func TestSessionsDieAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaths, workers := 400, 8
		if testing.Short() {
			deaths = 50
		}
		srv := amitest.NewServer(amitest.WithDial(func(string) amitest.Dial {
			return amitest.Dial{Reason: amitest.ReasonAnswered, After: 3 * time.Millisecond, Talk: time.Millisecond}
		}))
		defer srv.Close()
		srv.Handle("Count", func(c *amitest.Call) { c.Success("counted") })
		srv.SetFaults(amitest.Faults{AnswerDelay: time.Millisecond})
		c := dial(t, srv, ami.WithActionLanes(2), ami.WithStableAfter(0),
			ami.WithBackoff(time.Millisecond, 5*time.Millisecond, time.Millisecond))

		over := make(chan struct{})
		results := make([]map[string]error, workers)
		var work sync.WaitGroup
		for w := range workers {
			results[w] = map[string]error{}
			work.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-over:
						return
					default:
					}
					id := fmt.Sprintf("%d.%d", w, i)
					var a action.Action = action.Custom("Count", "N", id)
					switch i % 4 {
					case 0:
						call := asyncCall
						call.Variables = []action.Variable{{Name: "N", Value: id}}
						a = call
					case 1:
						a = action.Custom("Count", "N", id).Answered(strategy.Strategy{Kind: strategy.Single, Blocking: true, Timeout: time.Second})
					}
					_, err := c.Send(t.Context(), a)
					results[w][id] = err
					time.Sleep(time.Duration(rand.Int64N(int64(time.Millisecond)))) // fake
				}
			})
		}
		for range deaths {
			time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))) // fake
			for _, s := range srv.Sessions() {
				switch rand.IntN(4) {
				case 0:
					s.Reset()
				case 1:
					s.Kick()
				}
			}
		}
		close(over)
		work.Wait()
		synctest.Wait()
		require.Zero(t, c.Stats().Pending)
		require.NoError(t, c.Ready(t.Context()))

		ran := map[string]int{}
		for _, e := range srv.Ledger() {
			for _, f := range e.Fields {
				switch f.Key {
				case "N":
					ran[f.Value]++
				case "Variable":
					ran[f.Value[len("N="):]]++
				}
			}
		}
		var answered, unsent, doubtful int
		for _, of := range results {
			for id, err := range of {
				require.LessOrEqual(t, ran[id], 1, id)
				switch {
				case err == nil:
					require.Equal(t, 1, ran[id], id)
					answered++
				case ami.SafeToRetry(err):
					require.Zero(t, ran[id], "%s: %v", id, err)
					unsent++
				default:
					e, ok := errors.AsType[*ami.ConnError](err)
					require.True(t, ok && e.Sent, "%s: %v", id, err)
					doubtful++
				}
			}
		}
		t.Logf("answered %d, not sent %d, in doubt %d", answered, unsent, doubtful)
		require.Positive(t, answered)
		require.Positive(t, unsent)
		require.Positive(t, doubtful)
		var deadLanes uint64
		for _, l := range c.Stats().Lanes {
			deadLanes += l.Losses
		}
		require.Positive(t, deadLanes)
		require.Positive(t, c.Stats().Losses)
	})
}

// TestRefusedLoginIsNotMultiplied: with a wrong secret only the session of the
// events tries (D3, D5).
func TestRefusedLoginIsNotMultiplied(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		n := node(srv)
		n.Secret = ami.NewSecret("wrong")
		c, err := ami.New(n, ami.WithDialer(srv.DialContext), ami.WithActionLanes(4))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		time.Sleep(30 * time.Minute) // fake
		s := c.Stats()
		require.Len(t, sessionsOf(srv, "Login"), int(s.Failures))
		require.Positive(t, s.Failures)
		for _, l := range s.Lanes {
			require.Equal(t, ami.Disconnected, l.State)
			require.Zero(t, l.Failures)
			require.Zero(t, l.Connects)
		}
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
}

// TestLaneIsRefused: a user who may log in once (allowmultiplelogin = no) has a
// node without lanes, which works, and tries seldom (D3, D5).
func TestLaneIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		start := time.Now()
		c := dial(t, srv, ami.WithActionLanes(1))
		require.Equal(t, time.Second, time.Since(start), "the lane's verdict has come: Asterisk takes a second to refuse")
		require.NoError(t, c.Ready(t.Context()))
		_, err := c.Send(t.Context(), action.New("CoreStatus"))
		require.NoError(t, err)
		require.Equal(t, []int{eventSession}, sessionsOf(srv, "CoreStatus"))
		time.Sleep(14 * time.Second) // fake
		s := c.Stats()
		require.Equal(t, ami.Ready, s.State)
		require.Equal(t, ami.Disconnected, s.Lanes[0].State)
		require.ErrorIs(t, s.Lanes[0].Reason, ami.ErrAuth)
		require.ErrorContains(t, s.Lanes[0].Reason, "(lane 1)")
		require.EqualValues(t, 1, s.Lanes[0].Failures, "as after any refused login")
		require.Zero(t, s.Failures)

		srv.Session(eventSession).Kick() // what is told next says how many lanes are down
		for change := range c.StateChanges(t.Context()) {
			require.Equal(t, 1, change.LanesDown)
			if change.To == ami.Ready {
				break
			}
		}
		time.Sleep(time.Hour) // fake
		require.Less(t, c.Stats().Lanes[0].Failures, uint64(60))
		require.Zero(t, c.Stats().Lanes[0].Connects)
		require.EqualValues(t, 2, c.Stats().Connects)
	}, amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", SingleLogin: true}))
}

// TestRefusalEndsLanes: when the events can no longer log in, a lane may be what
// is in the way, as with allowmultiplelogin = no (D5).
func TestRefusalEndsLanes(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		log := newLogbook()
		c := dial(t, srv, ami.WithActionLanes(2), ami.WithLogger(slog.New(log)))
		srv.OnConnect(func(int) amitest.Faults {
			if len(srv.Sessions()) > 0 { // as the server sees it when a connection comes
				return amitest.Faults{LoginError: "Login Already In Use"}
			}
			return amitest.Faults{}
		})
		srv.Session(eventSession).Kick()
		synctest.Wait()
		for _, l := range c.Stats().Lanes {
			require.Equal(t, ami.Ready, l.State, "the loss of the events alone is no reason")
		}
		lost := time.Now()
		require.NoError(t, c.Ready(t.Context()))
		require.Less(t, time.Since(lost), 40*time.Second, "the second attempt is let in")
		s := c.Stats()
		require.EqualValues(t, 1, s.Failures)
		for _, l := range s.Lanes {
			require.EqualValues(t, 1, l.Losses)
		}
		told := 0
		for _, r := range log.find("disconnected") {
			if r["lane"] != nil {
				require.Contains(t, r["reason"], "the events cannot log in")
				told++
			}
		}
		require.Equal(t, 2, told)
	})
}
