package supervise

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("down")

func policy(changes *[]string) Config {
	return Config{
		Base: time.Second, Cap: 10 * time.Second, Floor: 100 * time.Millisecond,
		AuthBase: time.Minute, AuthCap: time.Minute,
		Failures: 3, OpenFor: 15 * time.Second, Probes: 2,
		OnBreaker: func(from, to string) { *changes = append(*changes, from+" → "+to) },
	}
}

func TestWaits(t *testing.T) { // D5: full jitter between floor and cap
	var changes []string
	cfg := policy(&changes)
	cfg.Failures = 1000
	var first, late time.Duration
	for range 300 {
		r := New(cfg)
		for i := range 10 {
			w := r.Wait(false)
			require.GreaterOrEqual(t, w, cfg.Floor)
			require.LessOrEqual(t, w, cfg.Cap)
			switch i {
			case 0:
				require.LessOrEqual(t, w, cfg.Base)
				first = max(first, w)
			case 9:
				late = max(late, w)
			}
		}
		r.Stable()
		require.LessOrEqual(t, r.Wait(false), cfg.Base, "small again")
		require.LessOrEqual(t, r.Wait(true), cfg.AuthCap)
	}
	require.Greater(t, first, cfg.Base/2, "the whole range is drawn from")
	require.Greater(t, late, cfg.Cap/2, "the waits grow")
}

func TestBreaker(t *testing.T) { // D5
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		r := New(policy(&changes))
		runs := 0
		try := func(err error) error {
			return r.Attempt(func() error {
				runs++
				return err
			})
		}
		for range 3 {
			require.ErrorIs(t, try(errDown), errDown)
		}
		require.Equal(t, "open", r.Breaker())
		require.Error(t, try(nil))
		require.Equal(t, 3, runs, "not let through")
		wait := r.Wait(false)
		require.Equal(t, 15*time.Second+1, wait)
		time.Sleep(wait) // fake
		require.ErrorIs(t, try(errDown), errDown, "a probe")
		require.Equal(t, "open", r.Breaker(), "it failed")
		time.Sleep(r.Wait(false)) // fake
		require.NoError(t, try(nil))
		require.Equal(t, "half-open", r.Breaker())
		require.NoError(t, try(nil))
		require.Equal(t, "closed", r.Breaker())
		require.Equal(t, []string{"closed → open", "open → half-open", "half-open → open", "open → half-open", "half-open → closed"}, changes)
		for range 3 {
			r.Lost(errDown)
		}
		require.Equal(t, "open", r.Breaker(), "lost sessions count")
		r.Lost(errDown) // and do no harm while it is open
	})
}
