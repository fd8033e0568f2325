package correlate

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/strategy"
)

// TestDeadlines adds actions in no order of their deadlines, ends some of them
// early, and looks that each of the others ends at its own, to the nanosecond.
func TestDeadlines(t *testing.T) { // C2, C3
	synctest.Test(t, func(t *testing.T) {
		tab := table(1000)
		start := time.Now()
		var mu sync.Mutex
		at := make(map[*Pending]time.Duration)
		var early []*Pending
		for i := range 500 {
			p := of(tab, 1, single)
			after := time.Duration(1 + rand.Int64N(int64(time.Minute)))
			p.Deadline = start.Add(after)
			p.OnEnd = func(p *Pending) {
				mu.Lock()
				defer mu.Unlock()
				at[p] = time.Since(start)
			}
			require.NoError(t, tab.Add(p))
			if i%3 == 0 {
				early = append(early, p)
			}
			if i == 250 { // the later half comes while the timer is under way
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		for _, p := range early {
			tab.Abandon(p, errCause)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Len(t, at, 500)
		for p, ended := range at {
			if p.Cause == errCause { //nolint:errorlint // the very one
				require.LessOrEqual(t, ended, time.Second)
				continue
			}
			require.ErrorIs(t, p.Cause, context.DeadlineExceeded)
			require.Equal(t, strategy.Expired, p.Verdict)
			due := p.Deadline.Sub(start)
			if due < time.Second && ended == time.Second {
				continue // added after its time
			}
			require.Equal(t, due, ended)
		}
		require.Zero(t, tab.Len())
	})
}

// TestNoDeadline: an action without one waits for as long as it takes.
func TestNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := table(10)
		p := add(t, tab, single)
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		require.False(t, ended(p))
		tab.Abandon(p, errCause)
	})
}

// TestTimerRests: when a session has ended and nothing is pending, no timer
// keeps the table alive; the next action sets it anew.
func TestTimerRests(t *testing.T) { // C3, D7
	synctest.Test(t, func(t *testing.T) {
		tab := table(10)
		p := of(tab, 1, single)
		p.Deadline = time.Now().Add(time.Minute)
		require.NoError(t, tab.Add(p))
		tab.End(1, errCause)
		require.True(t, tab.deadlines.armed.IsZero())
		require.False(t, tab.deadlines.timer.Stop(), "it is stopped already")

		p = of(tab, 2, single)
		p.Deadline = time.Now().Add(time.Second)
		require.NoError(t, tab.Add(p))
		time.Sleep(time.Second)
		synctest.Wait()
		require.True(t, ended(p))
	})
}
