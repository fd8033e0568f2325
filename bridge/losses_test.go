package bridge

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/spool"
)

// TestSpoolOverflow: what made room in the spool while the broker was away is
// told, with its number, where it would have been.
func TestSpoolOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 3000
		broker := newShelf()
		broker.away = true
		g := start(t, fakes(t, "pbx1", "pbx2"), broker, Options{Spool: spool.Options{MaxBytes: 256 << 10}})
		g.ready(t)
		for _, srv := range g.servers {
			flood(t, srv, each)
		}
		synctest.Wait()
		require.NotZero(t, g.work.Load().spool.Stats().Lost)
		broker.set(func(s *shelf) { s.away = false })
		all := broker.await(t, func(all []Record) bool {
			_, lost := verify(t, all)
			return lost > 0 && len(all)-count(all, KindGap)+int(lost) == 2*(each+5) // states and FullyBooted as well
		})
		g.stop(t)
		events, lost := verify(t, all)
		require.Less(t, events["pbx1"]+events["pbx2"], 2*each)
		require.Equal(t, g.lost.spool.Load(), lost)
		require.Equal(t, 2, count(all, KindGap), "one for each node")
	})
}

// TestBufferOverflow: events that the subscription dropped, because what is behind
// it stood still, are told in their place with their number.
func TestBufferOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		g := start(t, fakes(t, "pbx1", "pbx2"), broker, Options{Buffer: 100})
		g.ready(t)
		synctest.Wait()
		j := g.work.Load().journal
		j.mu.Lock()
		full := make([]byte, pileMost)
		j.fill.buf, full = full, j.fill.buf // whoever brings events waits for room
		j.mu.Unlock()
		flood(t, g.servers["pbx1"], 1000)
		time.Sleep(time.Second)
		flood(t, g.servers["pbx2"], 1000)
		time.Sleep(time.Second)
		j.mu.Lock()
		j.fill.buf = full
		j.room.Broadcast()
		j.mu.Unlock()
		time.Sleep(time.Second)
		flood(t, g.servers["pbx1"], 1)
		all := broker.await(t, func(all []Record) bool {
			events, lost := verifyUnordered(t, all)
			return events+int(lost) == 2001
		})
		g.stop(t)
		require.NotZero(t, g.lost.subscription.Load())
		for _, r := range all {
			if r.Kind == KindGap {
				require.Contains(t, string(r.Payload), "too slow")
			}
		}
	})
}

// verifyUnordered is verify for floods that begin anew.
func verifyUnordered(t testing.TB, all []Record) (events int, lost uint64) {
	for i := range all {
		p := read(t, &all[i])
		lost += p.Lost
		if all[i].Name == "UserEvent" {
			events++
		}
	}
	return events, lost
}

// TestRestart: what an instance has left in the spool comes first, with its IDs,
// and then a gap tells that there was another one.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, broker := t.TempDir(), newShelf()
		servers := fakes(t, "pbx1", "pbx2")
		first := start(t, servers, broker, Options{Dir: dir, Grace: time.Second})
		first.ready(t)
		flood(t, servers["pbx1"], 10)
		broker.await(t, floods(t, 10))
		broker.set(func(s *shelf) { s.away = true })
		flood(t, servers["pbx1"], 20)
		synctest.Wait()
		first.stop(t)
		time.Sleep(time.Hour)
		require.Nil(t, first.work.Load())

		broker.set(func(s *shelf) { s.away = false })
		second := start(t, servers, broker, Options{Dir: dir})
		second.ready(t)
		flood(t, servers["pbx1"], 30)
		broker.await(t, floods(t, 60))
		second.stop(t)
		all := broker.all() // what the other node said may come behind
		events, lost := verifyUnordered(t, all)
		require.Equal(t, 60, events)
		require.Zero(t, lost)

		gaps := map[string]payload{}
		last := map[string]*Record{}
		for i := range all {
			r := &all[i]
			switch {
			case strings.HasPrefix(r.Instance, first.run+"."):
				require.Empty(t, gaps, "the earlier instance is first")
				last[r.Node] = r
			case r.Kind == KindGap:
				require.NotContains(t, gaps, r.Node)
				gaps[r.Node] = read(t, r)
			case r.Kind == KindEvent:
				require.Contains(t, gaps, r.Node, "the gap comes before the first event")
			}
		}
		require.Len(t, gaps, 2)
		for node, p := range gaps {
			require.Equal(t, last[node].ID(), p.Gap.After)
			require.Greater(t, p.Gap.DownMS, 3.5e6)
			require.Contains(t, p.Gap.Reason, first.run)
		}
	})
}

// TestNodeComesBack: one that was taken out has a final gap; when it is added
// again it has another instance, which begins with a gap.
func TestNodeComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		g := start(t, fakes(t, "pbx1", "pbx2"), broker, Options{})
		g.ready(t)
		flood(t, g.servers["pbx1"], 1)
		c, _ := g.cluster.Node("pbx1")
		node := c.Node()
		again, nodes := clusterOf(t, g.servers)
		require.NoError(t, again.Close())
		node.Secret = nodes[0].Secret
		require.NoError(t, g.cluster.Remove(t.Context(), "pbx1"))
		time.Sleep(time.Second)
		require.NoError(t, g.cluster.Add(node))
		g.ready(t)
		flood(t, g.servers["pbx1"], 1)
		all := broker.await(t, floods(t, 2))
		g.stop(t)
		verifyUnordered(t, all)
		var gaps []payload
		instances := map[string]bool{}
		for i := range all {
			if all[i].Node != "pbx1" {
				continue
			}
			instances[all[i].Instance] = true
			if all[i].Kind == KindGap {
				gaps = append(gaps, read(t, &all[i]))
			}
		}
		require.Len(t, instances, 2)
		require.Len(t, gaps, 2)
		require.True(t, gaps[0].Gap.Final)
		require.Equal(t, gaps[0].ID, gaps[1].Gap.After)
	})
}

// TestRefused: a record that the broker will never take holds up no other.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newShelf()
		broker.refuse = func(r *Record) error {
			if r.Name == "UserEvent" && r.Seq%2 == 0 {
				return context.Canceled // whatever
			}
			return nil
		}
		g := start(t, fakes(t, "pbx1"), broker, Options{})
		g.ready(t)
		flood(t, g.servers["pbx1"], 10)
		broker.await(t, floods(t, 5))
		synctest.Wait()
		require.Zero(t, g.work.Load().spool.Stats().Entries)
		g.stop(t)
		require.Equal(t, 1+5, count(broker.all(), KindEvent), "FullyBooted and half of the others")
		require.InDelta(t, 5, testutil.ToFloat64(g.metrics.refused), 0)
	})
}

// TestGracefulStop: what was received is published before Run returns, and of a
// broker that stays away no more is waited for than the grace.
func TestGracefulStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, dir := newShelf(), t.TempDir()
		g := start(t, fakes(t, "pbx1"), broker, Options{Dir: dir, Grace: 10 * time.Second})
		g.ready(t)
		broker.set(func(s *shelf) { s.away = true })
		flood(t, g.servers["pbx1"], 1000)
		synctest.Wait()
		time.AfterFunc(3*time.Second, func() { broker.set(func(s *shelf) { s.away = false }) })
		g.stop(t)
		events, _ := verify(t, broker.all())
		require.Equal(t, 1000, events["pbx1"])
		require.ErrorIs(t, g.Run(t.Context()), ErrStarted)
	})
	synctest.Test(t, func(t *testing.T) {
		broker, dir := newShelf(), t.TempDir()
		g := start(t, fakes(t, "pbx1"), broker, Options{Dir: dir, Grace: 10 * time.Second})
		g.ready(t)
		broker.set(func(s *shelf) { s.away = true })
		flood(t, g.servers["pbx1"], 1000)
		synctest.Wait()
		began := time.Now()
		g.stop(t)
		require.LessOrEqual(t, time.Since(began), 11*time.Second)
		s, err := spool.Open(dir+"/spool", spool.Options{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Stats().Entries, uint64(1000), "it is all there for the next start")
		require.NoError(t, s.Close())
	})
}

// TestCaughtUp: a fence waits until what an earlier instance has left is out.
func TestCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, broker := t.TempDir(), newShelf()
		broker.away = true
		servers := fakes(t, "pbx1")
		first := start(t, servers, broker, Options{Dir: dir, Grace: time.Second})
		first.ready(t)
		flood(t, servers["pbx1"], 5000)
		synctest.Wait()
		first.stop(t)

		second := start(t, servers, broker, Options{Dir: dir})
		second.ready(t)
		synctest.Wait()
		p := second.work.Load().publisher
		select {
		case <-p.caughtUp:
			require.Fail(t, "nothing is out yet")
		default:
		}
		broker.set(func(s *shelf) { s.away = false })
		<-p.caughtUp
		events, _ := verify(t, broker.all())
		require.Equal(t, 5000, events["pbx1"])
		second.stop(t)
		third := start(t, servers, broker, Options{Dir: dir})
		third.ready(t)
		<-third.work.Load().publisher.caughtUp // there was nothing
		third.stop(t)
	})
}

// TestLossOfEarlierInstance: what an earlier instance has left, and the spool drops
// before any of it was read, is told with the numbers that it had, although the
// process that tells it has never seen them. And no fence comes before all is out.
func TestLossOfEarlierInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, broker := t.TempDir(), newShelf()
		servers := fakes(t, "pbx1", "pbx2")
		o := Options{Dir: dir, Grace: time.Second, Spool: spool.Options{MaxBytes: 8 << 20}}
		first := start(t, servers, broker, o)
		first.ready(t)
		flood(t, servers["pbx1"], 200)
		broker.await(t, floods(t, 200))
		time.Sleep(time.Second) // acknowledged
		broker.set(func(s *shelf) { s.away = true })
		flood(t, servers["pbx2"], 4500) // more than is being published at a time
		synctest.Wait()
		flood(t, servers["pbx1"], 50)
		synctest.Wait()
		first.stop(t)

		second := start(t, servers, broker, o)
		second.ready(t)
		flood(t, servers["pbx2"], 25_000)
		synctest.Wait()
		second.stop(t)

		third := start(t, servers, broker, o)
		third.ready(t)
		early := 0 // records of others behind that
		p := third.work.Load().publisher
		broker.set(func(s *shelf) {
			s.away = false
			s.refuse = func(r *Record) error {
				select {
				case <-p.caughtUp:
					if !strings.HasPrefix(r.Instance, third.run) {
						early++
					}
				default:
				}
				return nil
			}
		})
		<-p.caughtUp
		synctest.Wait()
		third.stop(t)
		all := broker.all()
		_, lost := verify(t, all)
		require.Equal(t, third.lost.spool.Load(), lost)
		var told *Record
		for i := range all {
			if r := &all[i]; r.Node == "pbx1" && r.Kind == KindGap && strings.HasPrefix(r.Instance, first.run) {
				told = r
			}
		}
		require.NotNil(t, told)
		require.Equal(t, uint64(51), read(t, told).Lost, "and that it was disconnected")
		require.Zero(t, early)
	})
}

// TestDamageOfEarlierInstance: entries that were damaged while no process ran are
// told where they are missing.
func TestDamageOfEarlierInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, broker := t.TempDir(), newShelf()
		servers := fakes(t, "pbx1")
		o := Options{Dir: dir, Grace: time.Second}
		first := start(t, servers, broker, o)
		first.ready(t)
		flood(t, servers["pbx1"], 10)
		broker.await(t, floods(t, 10))
		time.Sleep(time.Second)
		broker.set(func(s *shelf) { s.away = true })
		before := len(broker.all())
		flood(t, servers["pbx1"], 100)
		synctest.Wait()
		first.stop(t)
		files, err := filepath.Glob(filepath.Join(dir, "spool", "*.seg"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		data, err := os.ReadFile(files[0])
		require.NoError(t, err)
		clear(data[len(data)/10 : len(data)/3]) // from before the first that is not acknowledged
		require.NoError(t, os.WriteFile(files[0], data, 0o600))

		broker.set(func(s *shelf) { s.away = false })
		second := start(t, servers, broker, o)
		second.ready(t)
		synctest.Wait()
		second.stop(t)
		all := broker.all()
		seq, holes := all[before-1].Seq, 0
		for _, r := range all[before:] {
			if !strings.HasPrefix(r.Instance, first.run) {
				continue
			}
			if r.Seq != seq+1 {
				holes++
				require.Equal(t, KindGap, r.Kind, "a hole before %s", r.ID())
			}
			seq = r.Seq
		}
		require.Equal(t, 1, holes)
	})
}

// TestDirInUse: two processes cannot have the same folder.
func TestDirInUse(t *testing.T) {
	broker, dir := newShelf(), t.TempDir()
	s, err := spool.Open(dir+"/spool", spool.Options{})
	require.NoError(t, err)
	defer s.Close()
	cl, _ := clusterOf(t, fakes(t, "pbx1"))
	b, err := New(cl, broker, Options{Dir: dir, Instance: "test"})
	require.NoError(t, err)
	require.ErrorIs(t, b.Run(t.Context()), spool.ErrLocked)
	require.Equal(t, 1, broker.closed)
}
