package correlate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/strategy"
)

var status = strategy.Strategy{Kind: strategy.List, Terminal: []string{"StatusComplete"}, Items: []string{"Status"}}

// TestGivenUpList: the items of a list that nobody waits for any more are late
// answers, though they look like events, up to its end (C3, C9, D4).
func TestGivenUpList(t *testing.T) {
	tab := table(10)
	p := add(t, tab, status)
	item := parse(t, "Event: Status\nPrivilege: Call\nActionID: "+p.ID)
	tab.Abandon(p, errCause)
	assert.Zero(t, tab.Len())
	assert.Equal(t, Late, tab.Offer(start(t, p.ID)))
	assert.Equal(t, Late, tab.Offer(item))
	assert.Equal(t, Publish, tab.Offer(parse(t, "Event: UserEvent\nPrivilege: user,all\nActionID: "+p.ID)), "that merely carries the id")
	assert.False(t, tab.Reject(head(t, p.ID), errCause))
	assert.Equal(t, Late, tab.Offer(parse(t, "Event: StatusComplete\nActionID: "+p.ID+"\nEventList: Complete")))
	assert.Empty(t, tab.ghosts)
	assert.Empty(t, p.Items, "what the caller got does not change")
}

// TestGivenUpListWithoutActionID: the same before the list has begun.
func TestGivenUpListWithoutActionID(t *testing.T) { // C9
	tab := table(10)
	p := add(t, tab, peers)
	peer := parse(t, "Event: PeerEntry\nChanneltype: IAX2")
	tab.Abandon(p, errCause)
	assert.Equal(t, Publish, tab.Offer(peer))
	assert.Equal(t, Late, tab.Offer(start(t, p.ID)))
	assert.Equal(t, Late, tab.Offer(peer))
	tab.End(1, errCause)
	assert.Equal(t, Publish, tab.Offer(peer), "the session is over")
	assert.Empty(t, tab.ghosts)
	assert.Zero(t, tab.open.Load())
}

func TestOverflownList(t *testing.T) { // C2
	tab := table(10)
	s := status
	s.MaxMessages = 2
	p := add(t, tab, s)
	item := parse(t, "Event: Status\nPrivilege: Call\nActionID: "+p.ID)
	assert.Equal(t, Answer, tab.Offer(start(t, p.ID)))
	assert.Equal(t, Answer, tab.Offer(item))
	assert.Equal(t, Answer, tab.Offer(item))
	assert.Equal(t, strategy.Overflow, p.Verdict)
	assert.Equal(t, Late, tab.Offer(item), "the rest is no event")
	tab.End(1, errCause)
	assert.Empty(t, tab.ghosts)
}

func TestGhostsAreFew(t *testing.T) { // C3: memory stays bounded
	tab := table(1000)
	var first *Pending
	for range ghostsKept + 5 {
		p := add(t, tab, bare)
		if first == nil {
			first = p
		}
		tab.Abandon(p, errCause)
	}
	assert.Len(t, tab.ghosts, ghostsKept)
	assert.Len(t, tab.bare, ghostsKept)
	assert.Equal(t, Late, tab.Offer(success(t, first.ID)))
	unsent := queue(t, tab, bare)
	tab.Abandon(unsent, errCause)
	assert.Len(t, tab.ghosts, ghostsKept, "nothing will ever come for it")
}

// TestNotSentIsNotAnswered: ActionIDs can be guessed; a frame that comes before
// the action was written answers nothing (C9).
func TestNotSentIsNotAnswered(t *testing.T) {
	tab := table(10)
	p := queue(t, tab, single)
	assert.Equal(t, Late, tab.Offer(success(t, p.ID)))
	assert.False(t, ended(p))
	assert.False(t, tab.Reject(head(t, p.ID), errCause))
	require.True(t, p.Take())
	assert.Equal(t, Answer, tab.Offer(success(t, p.ID)))
}

// TestRejectNeedsAnAnswer: a broadcast that was discarded fails no action,
// whatever ActionID it echoes (C9).
func TestRejectNeedsAnAnswer(t *testing.T) {
	tab := table(10)
	p := add(t, tab, single)
	assert.False(t, tab.Reject(parse(t, "Event: UserEvent\nPrivilege: user,all\nActionID: "+p.ID), errCause))
	assert.True(t, tab.Reject(parse(t, "Event: Item\nActionID: "+p.ID), errCause))
	p = add(t, tab, status)
	assert.True(t, tab.Reject(parse(t, "Event: Status\nPrivilege: Call\nActionID: "+p.ID), errCause))
}
