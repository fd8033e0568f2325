package correlate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/strategy"
)

var async = strategy.AsyncBy("OriginateResponse")

// on adds an action that leaves by a session of the lane, and has it written.
func on(t *testing.T, l *Lane, epoch uint64, s strategy.Strategy) *Pending {
	t.Helper()
	p := of(l.table, epoch, s)
	if s.Kind == strategy.Async {
		p.Events = 1
	}
	require.NoError(t, l.Add(p))
	require.True(t, p.Take())
	return p
}

// TestLaneEndsAlone: a lane takes down what has left by it and nothing else, and
// takes no more for its old session (C3, C5).
func TestLaneEndsAlone(t *testing.T) {
	tab := table(10)
	side := tab.NewLane()
	here, there := on(t, &tab.Lane, 1, single), on(t, side, 2, single)
	assert.Equal(t, 1, tab.Waiting())
	assert.Equal(t, 1, side.Waiting())
	assert.Equal(t, 2, tab.Len())

	side.End(2, errCause)
	assert.True(t, ended(there))
	assert.True(t, there.Sent)
	assert.False(t, ended(here))
	require.ErrorIs(t, side.Add(of(tab, 2, single)), ErrEnded)
	next := on(t, side, 3, single)

	// The epoch is higher than the lane's, and it is the other lane's business.
	tab.End(4, errCause)
	assert.True(t, ended(here))
	assert.False(t, ended(next))
	require.NoError(t, side.Add(of(tab, 3, single)))
	side.End(3, errCause)
	assert.Zero(t, tab.Len())
	assert.Zero(t, side.Waiting())
}

// TestAsyncByALane: the event of an action comes on the lane of events, before
// or behind the Response on the action's own, and is an event for everybody
// (C2, C5).
func TestAsyncByALane(t *testing.T) {
	for _, early := range []bool{false, true} {
		tab := table(10)
		side := tab.NewLane()
		p := on(t, side, 2, async)
		event := parse(t, "Event: OriginateResponse\nPrivilege: call,all\nActionID: "+p.ID)
		if early {
			assert.Equal(t, Both, tab.Offer(event))
			assert.False(t, ended(p))
		}
		assert.Equal(t, Answer, side.Offer(success(t, p.ID)))
		if !early {
			assert.False(t, ended(p))
			assert.Equal(t, Both, tab.Offer(event))
		}
		assert.True(t, ended(p))
		assert.Equal(t, strategy.Done, p.Verdict)
		assert.Same(t, event, p.End)
		assert.Equal(t, Publish, tab.Offer(event), "it is nobody's any more")
	}
}

// TestAsyncNeedsBoth: it dies with its own lane before the Response, with that
// of the events before the event, and cannot begin without either (C3, C5).
func TestAsyncNeedsBoth(t *testing.T) {
	tab := table(10)
	side := tab.NewLane()
	asked, accepted := on(t, side, 2, async), on(t, side, 2, async)
	assert.Equal(t, Answer, side.Offer(success(t, accepted.ID)))
	side.End(2, errCause)
	assert.True(t, ended(asked))
	assert.True(t, asked.Sent)
	assert.False(t, ended(accepted), "its lane has nothing more to tell")

	next, plain := on(t, side, 3, async), on(t, side, 3, single)
	tab.End(1, errCause)
	assert.True(t, ended(accepted))
	assert.True(t, ended(next))
	assert.False(t, ended(plain))
	late := of(tab, 3, async)
	late.Events = 1
	require.ErrorIs(t, side.Add(late), ErrEnded, "its event would have come on a session that is gone")
	side.End(3, errCause)
	assert.Zero(t, tab.Len())
}

// TestEventThatOvertook: with its event there, an action needs its own lane alone,
// for the Response (C3, C5).
func TestEventThatOvertook(t *testing.T) {
	tab := table(10)
	side := tab.NewLane()
	early := func(l *Lane, epoch uint64) *Pending {
		p := on(t, l, epoch, async)
		require.Equal(t, Both, tab.Offer(parse(t, "Event: OriginateResponse\nPrivilege: call,all\nActionID: "+p.ID)))
		return p
	}
	answered, lost, same := early(side, 2), early(side, 2), early(&tab.Lane, 1)
	tab.End(1, errCause)
	assert.True(t, ended(same), "the Response would have come there as well")
	assert.False(t, ended(answered))
	assert.Equal(t, Answer, side.Offer(success(t, answered.ID)))
	assert.True(t, ended(answered))
	assert.Equal(t, strategy.Done, answered.Verdict)
	assert.Equal(t, "OriginateResponse", answered.End.Name())
	assert.False(t, ended(lost))
	side.End(2, errCause)
	assert.True(t, ended(lost))
	assert.True(t, lost.Sent)
	assert.Zero(t, tab.Len())
}

// TestItemsStayInTheirLane: what has no ActionID belongs to the lane on which it
// comes, although the other lane has a list or a Bare action under way (C9).
func TestItemsStayInTheirLane(t *testing.T) {
	tab := table(10)
	side := tab.NewLane()
	peer, row := parse(t, "Event: PeerEntry"), parse(t, "a row")
	list, rows := on(t, side, 2, peers), on(t, side, 2, bare)
	assert.Equal(t, Answer, side.Offer(start(t, list.ID)))
	assert.Equal(t, Publish, tab.Offer(peer))
	assert.Equal(t, Stranger, tab.Offer(row))
	assert.Equal(t, Answer, side.Offer(peer))
	assert.Equal(t, Answer, side.Offer(row))

	other := on(t, &tab.Lane, 1, peers)
	assert.Equal(t, Answer, tab.Offer(start(t, other.ID)))
	assert.Equal(t, Answer, tab.Offer(peer))
	assert.Len(t, list.Items, 1)
	assert.Len(t, other.Items, 1)

	// Given up, they go on judging in their own lane, until its session ends.
	tab.Abandon(list, errCause)
	tab.Abandon(rows, errCause)
	assert.Equal(t, Late, side.Offer(peer))
	assert.Equal(t, Answer, tab.Offer(peer))
	tab.End(1, errCause)
	assert.Equal(t, Late, side.Offer(peer))
	side.End(2, errCause)
	assert.Equal(t, Publish, side.Offer(peer))
	assert.Empty(t, tab.ghosts)
	assert.Zero(t, side.open.Load())
	assert.Empty(t, side.bare)
}
