package bridge

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/spool"
	"github.com/apn/ami/event"
)

// ids takes what the journal has and returns the IDs of the records.
func (j *journal) ids(t *testing.T) (ids []string) {
	t.Helper()
	j.mu.Lock()
	idle := len(j.fill.marks) == 0
	j.mu.Unlock()
	if idle {
		return nil
	}
	p, _, ok := j.take(nil)
	require.True(t, ok)
	var d decoder
	from := 0
	for _, m := range p.marks {
		var r Record
		require.NoError(t, d.decode(p.buf[from:m.end], &r))
		ids = append(ids, r.ID())
		from = m.end
	}
	return ids
}

func testMemory(t *testing.T) *memory {
	t.Helper()
	m, err := openMemory(filepath.Join(t.TempDir(), "nodes.json"), func() error { return nil }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return m
}

// gapEvent is one between two sessions; to 0: the final one.
func gapEvent(seq, to uint64, at time.Time) *event.Event {
	e := event.OfGap("pbx1", seq, at, event.Gap{From: 1, To: to, Reason: errors.New("test")})
	return &e
}

// TestLateFinalGap: a node was let go of before the journal had seen all of it,
// and is held again: what still comes from then does not end the new hold, nor is
// it part of it.
func TestLateFinalGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal("run", true, nil, testMemory(t), &lossCount{})
		j.admit("pbx1", "first", 1, true)
		first := j.holdOf("pbx1")
		j.event(gapEvent(1, 2, time.Now()))
		late, final := gapEvent(2, 3, time.Now()), gapEvent(3, 0, time.Now())
		before := time.Now()
		require.Equal(t, uint64(1), j.release(first))
		time.Sleep(time.Millisecond)
		j.admit("pbx1", "second", 2, true)
		j.event(late)
		require.False(t, j.state(&ami.StateChange{Node: "pbx1", To: ami.Disconnected, At: before}, &NodeState{}))
		j.event(final)
		j.event(gapEvent(1, 2, time.Now()))
		j.admit("pbx1", "third", 3, true) // fenced anew, over the same sessions
		j.event(gapEvent(2, 3, time.Now()))
		require.Equal(t, []string{"first/pbx1/2/1", "second/pbx1/2/1", "third/pbx1/2/1", "third/pbx1/3/2"}, j.ids(t))
	})
}

// TestFencedAnew: what comes between the takeover, when the broker has it, and the
// new hold is dropped with the old one, behind the takeover in time: a gap tells it.
func TestFencedAnew(t *testing.T) {
	j := newJournal("run", true, nil, testMemory(t), &lossCount{})
	j.admit("pbx1", "first", 1, true)
	j.event(gapEvent(1, 2, time.Now()))
	j.event(gapEvent(2, 3, time.Now())) // the broker has the takeover already
	j.admit("pbx1", "second", 2, true)
	j.event(gapEvent(3, 4, time.Now()))
	p, _, ok := j.take(nil)
	require.True(t, ok)
	var d decoder
	var r Record
	require.NoError(t, d.decode(p.buf[p.marks[1].end:p.marks[2].end], &r))
	require.Equal(t, KindGap, r.Kind)
	got := read(t, &r)
	require.Equal(t, "second/pbx1/3/1", got.ID)
	require.Equal(t, "first/pbx1/3/2", got.Gap.After)
}

// TestMemoryIsNotAhead: what the file says of a node is in the spool, whenever the
// process dies: else a gap would begin behind records that were lost.
func TestMemoryIsNotAhead(t *testing.T) {
	m := testMemory(t)
	s, err := spool.Open(t.TempDir(), spool.Options{})
	require.NoError(t, err)
	j := newJournal("run", false, nil, m, &lossCount{})
	w := &writer{journal: j, spool: s, memory: m, lost: &lossCount{}, log: slog.New(slog.DiscardHandler)}
	known := func() *last {
		after, err := openMemory(m.file, m.sync, m.log)
		require.NoError(t, err)
		return after.of("pbx1")
	}
	step := func() {
		j.event(gapEvent(1, 2, time.Now()))
		p, lasts, ok := j.take(nil)
		require.True(t, ok)
		w.write(p, slices.Clone(lasts))
	}
	require.NoError(t, s.Close()) // as if the process died before it appended
	step()
	require.NotNil(t, known(), "there was a hold")
	require.Zero(t, known().Seq, "and nothing of it is known")
	step()
	require.NoError(t, m.save())
	require.Zero(t, known().Seq)

	s, err = spool.Open(t.TempDir(), spool.Options{})
	require.NoError(t, err)
	defer s.Close()
	w.spool = s
	step()
	require.NoError(t, m.save())
	require.Equal(t, uint64(3), known().Seq)

	// The death of the machine takes what was not synced, from the spool as well.
	m.sync = func() error {
		require.Equal(t, uint64(3), known().Seq, "the spool comes first")
		return nil
	}
	step()
	require.NoError(t, m.save())
	require.Equal(t, uint64(4), known().Seq)
	m.sync = func() error { return errAway }
	step()
	require.ErrorIs(t, m.save(), errAway)
	require.Equal(t, uint64(4), known().Seq)
}

// TestLastStates: what is left in the store of a node that was taken out, and of
// all when the bridge has ended, is that they are disconnected.
func TestLastStates(t *testing.T) {
	for range 20 { // the state and the final gap come by different ways
		synctest.Test(t, func(t *testing.T) {
			g := start(t, fakes(t, "pbx1", "pbx2"), newShelf(), Options{})
			g.ready(t)
			synctest.Wait()
			instance := g.states.all()[0].Instance
			require.NoError(t, g.cluster.Remove(t.Context(), "pbx1"))
			synctest.Wait()
			s := g.states.all()
			require.Equal(t, "disconnected", s[0].State)
			require.Equal(t, instance, s[0].Instance)
			require.Equal(t, "ready", s[1].State)
			g.stop(t)
			require.Equal(t, "disconnected", g.states.all()[1].State)
			instances := map[string]bool{}
			for _, r := range g.broker.all() {
				instances[r.Instance] = true
			}
			require.Len(t, instances, 2, "one for each node")
		})
	}
}

// TestFencedTwice: of two holds that are fenced one after the other the last is
// told, however busy the tenure is.
func TestFencedTwice(t *testing.T) {
	n := &tenure{node: "pbx1", fenced: make(chan string, 1)}
	l := &leases{held: map[string]*tenure{"pbx1": n}}
	l.fenced("pbx1", "first")
	l.fenced("pbx1", "second")
	l.fenced("pbx2", "first")
	require.Equal(t, "second", <-n.fenced)
	require.Empty(t, n.fenced)
}

// A keptStates is a broker that takes its time for states.
type keptStates struct {
	*shelf
	refuse error
	mu     sync.Mutex
	states map[string]string
}

func (k *keptStates) PutState(ctx context.Context, s NodeState) error {
	if !pause(ctx, 100*time.Millisecond) {
		return ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse == nil {
		k.states[s.Node] = s.State
	}
	return k.refuse
}

// TestStatesAreStoredAtTheEnd, and a store that refuses does not hold up the end.
func TestStatesAreStoredAtTheEnd(t *testing.T) {
	for _, refuse := range []error{nil, errAway} {
		synctest.Test(t, func(t *testing.T) {
			k := &keptStates{shelf: newShelf(), refuse: refuse, states: make(map[string]string)}
			cl, _ := clusterOf(t, fakes(t, "pbx1", "pbx2", "pbx3"))
			b, err := New(cl, k, Options{Dir: t.TempDir(), Instance: "test"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- b.Run(ctx) }()
			require.NoError(t, cl.Ready(t.Context(), 0))
			time.Sleep(time.Minute)
			began := time.Now()
			cancel()
			require.NoError(t, <-done)
			require.Less(t, time.Since(began), 5*time.Second)
			if refuse == nil {
				require.Equal(t, map[string]string{"pbx1": "disconnected", "pbx2": "disconnected", "pbx3": "disconnected"}, k.states)
			}
		})
	}
}

// TestEndedBeforeItBegan: a bridge whose context has ended, or ends at any moment of
// its start, ends as another one.
func TestEndedBeforeItBegan(t *testing.T) {
	for i := range 30 {
		synctest.Test(t, func(t *testing.T) {
			broker := newShelf()
			cl, _ := clusterOf(t, fakes(t, "pbx1", "pbx2"))
			b, err := New(cl, broker, Options{Dir: t.TempDir(), Instance: "test"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 {
				cancel()
			} else {
				go cancel()
			}
			require.NoError(t, b.Run(ctx))
			require.Equal(t, 1, broker.closed)
			verify(t, broker.all())
			cancel()
		})
	}
}
