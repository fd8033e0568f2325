package correlate

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/conn"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	single  = strategy.Strategy{Kind: strategy.Single}
	entries = strategy.ListOf("EntryComplete")
	bare    = strategy.Strategy{Kind: strategy.Bare}
	peers   = strategy.Strategy{Kind: strategy.List, Terminal: []string{"PeerlistComplete"}, NoActionID: []string{"PeerEntry"}}

	errCause = errors.New("cause")
)

const instance = "0123456789ab"

func table(limit int) *Table { return NewTable("node1", instance, limit) }

func parse(t *testing.T, wire string) *frame.Frame {
	t.Helper()
	f, err := frame.Parse(wire + "\n\n")
	require.NoError(t, err)
	return f
}

func success(t *testing.T, id string) *frame.Frame {
	t.Helper()
	return parse(t, "Response: Success\nActionID: "+id)
}

func start(t *testing.T, id string) *frame.Frame {
	t.Helper()
	return parse(t, "Response: Success\nActionID: "+id+"\nEventList: start")
}

// of makes a Pending of the given epoch.
func of(tab *Table, epoch uint64, s strategy.Strategy) *Pending {
	p := tab.New(s)
	p.Epoch = epoch
	return p
}

// add makes a Pending of epoch 1 and adds it, and takes it as the writer does.
func add(t *testing.T, tab *Table, s strategy.Strategy) *Pending {
	t.Helper()
	p := queue(t, tab, s)
	require.True(t, p.Take())
	return p
}

// queue makes a Pending of epoch 1 that is not written yet.
func queue(t *testing.T, tab *Table, s strategy.Strategy) *Pending {
	t.Helper()
	p := of(tab, 1, s)
	require.NoError(t, tab.Add(p))
	return p
}

// head is what is left of a discarded frame.
func head(t *testing.T, id string) *frame.Frame {
	t.Helper()
	return parse(t, "Response: Success\nActionID: "+id)
}

func ended(p *Pending) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func TestActionIDForm(t *testing.T) { // C1
	t.Parallel()
	tab := NewTable("node1", NewInstance(), 1)
	form := regexp.MustCompile(`^node1:[0-9a-f]{12}:([0-9]+)$`)
	for i := 1; i <= 3; i++ {
		m := form.FindStringSubmatch(of(tab, 1, single).ID)
		require.NotNil(t, m)
		assert.Equal(t, strconv.Itoa(i), m[1])
	}
}

func TestActionIDUnique(t *testing.T) { // C1
	t.Parallel()
	const tables, each = 8, 500 // tables of the same node, as in many processes
	var (
		wg   sync.WaitGroup
		seen sync.Map
		n    atomic.Int64
	)
	for range tables {
		tab := NewTable("node1", NewInstance(), 1)
		for range 2 {
			wg.Go(func() {
				for range each {
					if _, twice := seen.LoadOrStore(of(tab, 1, single).ID, true); !twice {
						n.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	assert.EqualValues(t, tables*2*each, n.Load())
}

func TestActionIDLength(t *testing.T) { // C1
	t.Parallel()
	for _, size := range []int{1, nodeMost - 1, nodeMost, nodeMost + 1, 64, 255} {
		node := strings.Repeat("n", size)
		tab := NewTable(node, NewInstance(), 1)
		tab.sequence.Store(math.MaxUint64 - 1)
		p := of(tab, 1, single)
		assert.LessOrEqual(t, len(p.ID), 64, "node key of %d bytes", size)
		assert.True(t, strings.HasSuffix(p.ID, ":18446744073709551615"))
		require.NoError(t, tab.Add(p))
		require.True(t, p.Take())
		assert.Equal(t, Answer, tab.Offer(success(t, p.ID)), "and is found again")
	}
}

func TestActionIDOfLongNodeKeys(t *testing.T) { // C1
	t.Parallel()
	common := strings.Repeat("n", 254)
	a, b := Prefix(common+"a", instance), Prefix(common+"b", instance)
	assert.NotEqual(t, a, b)
	assert.Equal(t, a, Prefix(common+"a", instance), "the hash is stable")
	assert.Equal(t, strings.Repeat("n", 21), a[:21])
	assert.Equal(t, strings.Repeat("n", nodeMost)+":"+instance+":", Prefix(strings.Repeat("n", nodeMost), instance), "not cut")
	first, second := NewInstance(), NewInstance()
	assert.NotEqual(t, first, second)
}

func TestAddFull(t *testing.T) { // C3, C6
	t.Parallel()
	tab := table(2)
	a, b := add(t, tab, single), add(t, tab, bare)
	late := of(tab, 1, bare)
	require.ErrorIs(t, tab.Add(late), ErrFull)
	assert.Equal(t, 2, tab.Len())
	assert.Len(t, tab.bare, 1, "nothing of the refused one stays")

	assert.Equal(t, Answer, tab.Offer(success(t, a.ID)))
	require.NoError(t, tab.Add(late), "there is room again")
	tab.Abandon(late, errCause)
	tab.Abandon(b, errCause)
	assert.Zero(t, tab.Len())
}

func TestAddEnded(t *testing.T) { // C3, C5
	t.Parallel()
	tab := table(10)
	tab.End(2, errCause)
	require.ErrorIs(t, tab.Add(of(tab, 1, single)), ErrEnded)
	require.ErrorIs(t, tab.Add(of(tab, 2, single)), ErrEnded)
	p := of(tab, 3, single)
	require.NoError(t, tab.Add(p))
	tab.End(1, errCause) // of an older session, told late
	assert.False(t, ended(p))
	require.ErrorIs(t, tab.Add(of(tab, 2, single)), ErrEnded)
	tab.End(3, errCause)
	assert.True(t, ended(p))
	assert.Zero(t, tab.Len())
}

func TestOfferFates(t *testing.T) { // C4, C9
	t.Parallel()
	const theirs = "node1:ba9876543210:1"
	for _, tc := range []struct {
		name string
		s    strategy.Strategy
		wire string // %s: the action's id
		want Fate
		ends bool
	}{
		{"event without id", single, "Event: Hangup\nPrivilege: call,all", Publish, false},
		{"event of another client", single, "Event: OriginateResponse\nPrivilege: call,all\nActionID: " + theirs, Publish, false},
		{"user event with our id", single, "Event: UserEvent\nPrivilege: user,all\nUserEvent: X\nActionID: %s", Publish, false},
		{"user event that poses as the end", entries, "Event: UserEvent\nPrivilege: user,all\nActionID: %s\nEventList: Complete", Publish, false},
		{"response", single, "Response: Success\nActionID: %s", Answer, true},
		{"header in lower case", single, "Response: Success\nactionid: %s", Answer, true},
		{"error", single, "Response: Error\nActionID: %s\nMessage: no", Answer, true},
		{"response of a list", entries, "Response: Success\nActionID: %s\nEventList: start", Answer, false},
		{"terminal event without response", entries, "Event: EntryComplete\nActionID: %s\nEventList: Complete", Answer, true},
		{"broadcast for us and everybody", strategy.AsyncBy("OriginateResponse"), "Event: OriginateResponse\nPrivilege: call,all\nActionID: %s", Both, false},
		{"the same not broadcast", strategy.AsyncBy("OriginateResponse"), "Event: OriginateResponse\nActionID: %s", Answer, false},
		{"response without id", single, "Response: Success", Stranger, false},
		{"response of another client", single, "Response: Success\nActionID: " + theirs, Stranger, false},
		{"text", single, "some text", Stranger, false},
		{"text with our id", single, "Text: x\nActionID: %s", Stranger, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tab := table(10)
			p := add(t, tab, tc.s)
			wire := strings.ReplaceAll(tc.wire, "%s", p.ID)
			assert.Equal(t, tc.want, tab.Offer(parse(t, wire)))
			assert.Equal(t, tc.ends, ended(p))
			tab.Abandon(p, errCause)
			assert.Zero(t, tab.Len())
			assert.Zero(t, tab.open.Load())
		})
	}
}

func TestOfferLate(t *testing.T) { // C3, C9
	t.Parallel()
	tab := table(10)
	p := add(t, tab, entries)
	tab.Abandon(p, errCause)
	for wire, want := range map[string]Fate{
		"Response: Success\nActionID: " + p.ID:                             Late,
		"Event: Entry\nActionID: " + p.ID:                                  Late,
		"Text: x\nActionID: " + p.ID:                                       Late,
		"Event: UserEvent\nPrivilege: user,all\nActionID: " + p.ID:         Publish,
		"Event: OriginateResponse\nPrivilege: call,all\nActionID: " + p.ID: Publish,
		"Response: Success\nActionID: " + tab.prefix + "2":                 Stranger, // not given out yet
		"Event: Entry\nActionID: " + tab.prefix + "2":                      Publish,
	} {
		assert.Equal(t, want, tab.Offer(parse(t, wire)), wire)
	}
}

func TestOfferAlmostOurID(t *testing.T) { // C9
	t.Parallel()
	tab := table(10)
	var p *Pending
	for range 7 {
		p = of(tab, 1, single)
	}
	require.NoError(t, tab.Add(p))
	require.True(t, p.Take())
	for _, id := range []string{
		tab.prefix + "007", tab.prefix + "07", tab.prefix + "+7", tab.prefix + "-7", tab.prefix + "7x", tab.prefix + "7 7",
		tab.prefix + "0x7", tab.prefix + "7_0", tab.prefix + "0", tab.prefix, tab.prefix + "garbage", tab.prefix + "8",
		tab.prefix + "18446744073709551623", // 7 above what fits
		"7", ":7", "x" + tab.prefix + "7", strings.ToUpper(tab.prefix) + "7",
	} {
		assert.Equal(t, Stranger, tab.Offer(success(t, id)), id)
		assert.Equal(t, Publish, tab.Offer(parse(t, "Event: Entry\nActionID: "+id)), id)
		assert.False(t, tab.Reject(head(t, id), errCause), id)
		assert.False(t, ended(p), id)
	}
	assert.Equal(t, Answer, tab.Offer(success(t, tab.prefix+"7")))
	assert.True(t, ended(p))
}

func TestListAnswer(t *testing.T) { // C4
	t.Parallel()
	tab := table(10)
	p := add(t, tab, entries)
	response, item := start(t, p.ID), parse(t, "Event: Entry\nActionID: "+p.ID)
	end := parse(t, "Event: EntryComplete\nActionID: "+p.ID+"\nEventList: Complete")
	for _, f := range []*frame.Frame{response, item, item, end} {
		assert.Equal(t, Answer, tab.Offer(f))
	}
	<-p.Done()
	assert.Equal(t, strategy.Done, p.Verdict)
	require.NoError(t, p.Cause)
	assert.Same(t, response, p.Response)
	assert.Equal(t, []*frame.Frame{item, item}, p.Items)
	assert.Same(t, end, p.End)
}

func TestErrorStaysReadable(t *testing.T) { // C4
	t.Parallel()
	tab := table(10)
	s := entries
	s.ErrorGoesOn = true
	p := add(t, tab, s)
	refusal := parse(t, "Response: Error\nActionID: "+p.ID+"\nMessage: no")
	for _, f := range []*frame.Frame{
		start(t, p.ID), refusal, success(t, p.ID),
		parse(t, "Event: EntryComplete\nActionID: "+p.ID+"\nEventList: Complete"),
	} {
		require.Equal(t, Answer, tab.Offer(f))
	}
	<-p.Done()
	assert.Equal(t, strategy.Refused, p.Verdict)
	assert.Same(t, refusal, p.Response, "a later success does not hide it")
}

func TestAsyncOvertaken(t *testing.T) { // C4, C9
	t.Parallel()
	s := strategy.AsyncBy("OriginateResponse")
	tab := table(10)
	p, alone := add(t, tab, s), add(t, tab, s)
	decided := parse(t, "Event: OriginateResponse\nPrivilege: call,all\nActionID: "+p.ID)
	assert.Equal(t, Both, tab.Offer(decided))
	assert.False(t, ended(p))
	assert.Equal(t, Answer, tab.Offer(success(t, p.ID)))
	<-p.Done()
	assert.Equal(t, strategy.Done, p.Verdict)
	assert.Same(t, decided, p.End)
	assert.Empty(t, p.Items)

	assert.Equal(t, Both, tab.Offer(parse(t, "Event: OriginateResponse\nPrivilege: call,all\nActionID: "+alone.ID)))
	tab.Expire(alone, errCause)
	<-alone.Done()
	assert.Equal(t, strategy.Missing, alone.Verdict)
	assert.NotNil(t, alone.End)
	assert.Zero(t, tab.Len())
}

func TestOverflow(t *testing.T) { // C2, C3
	t.Parallel()
	tab := table(10)
	s := entries
	s.MaxMessages = 2
	p := add(t, tab, s)
	item := parse(t, "Event: Entry\nActionID: "+p.ID)
	assert.Equal(t, Answer, tab.Offer(start(t, p.ID)))
	assert.Equal(t, Answer, tab.Offer(item))
	assert.Equal(t, Answer, tab.Offer(item))
	<-p.Done()
	assert.Equal(t, strategy.Overflow, p.Verdict)
	assert.Len(t, p.Items, 1, "the frame too many is not kept")
	assert.Nil(t, p.End)
	assert.Zero(t, tab.Len())
	assert.Equal(t, Late, tab.Offer(item))
}

func TestBareInOrder(t *testing.T) { // C9
	t.Parallel()
	tab := table(10)
	a, b := add(t, tab, bare), add(t, tab, bare)
	text := func(s string) *frame.Frame { return parse(t, s) }
	assert.Equal(t, Answer, tab.Offer(text("of a")))
	assert.Equal(t, Answer, tab.Offer(text("of a too")))
	assert.Equal(t, Stranger, tab.Offer(text("Text: x\nActionID: node2:x:1")), "has an id, and it is not ours")
	assert.Equal(t, Answer, tab.Offer(success(t, a.ID)))
	assert.True(t, ended(a))
	assert.Equal(t, Answer, tab.Offer(text("of b")))
	assert.Equal(t, Answer, tab.Offer(parse(t, "Response: Error\nActionID: "+b.ID+"\nMessage: Permission denied")))
	assert.False(t, ended(b))
	assert.Equal(t, Answer, tab.Offer(success(t, b.ID)))
	<-b.Done()
	assert.Len(t, a.Items, 2)
	assert.Equal(t, strategy.Done, a.Verdict)
	assert.Len(t, b.Items, 1)
	assert.Equal(t, strategy.Refused, b.Verdict)
	assert.Equal(t, Stranger, tab.Offer(text("of nobody")))
	assert.Zero(t, tab.Len())
}

func TestBareAbandonedInTheMiddle(t *testing.T) { // C3, C9
	t.Parallel()
	tab := table(10)
	a, b, c := add(t, tab, bare), add(t, tab, bare), add(t, tab, bare)
	tab.Abandon(b, errCause)
	assert.Equal(t, Answer, tab.Offer(parse(t, "of a")))
	assert.Equal(t, Answer, tab.Offer(success(t, a.ID)))
	assert.Equal(t, Late, tab.Offer(parse(t, "of b")), "not of c")
	assert.Equal(t, Late, tab.Offer(success(t, b.ID)))
	assert.Equal(t, Answer, tab.Offer(parse(t, "of c")))
	assert.Equal(t, Answer, tab.Offer(success(t, c.ID)))
	assert.Len(t, a.Items, 1)
	assert.Empty(t, b.Items)
	assert.Len(t, c.Items, 1)
	assert.Zero(t, tab.Len())
	assert.Empty(t, tab.bare)
}

func TestListItemsWithoutActionID(t *testing.T) { // C9
	t.Parallel()
	tab := table(10)
	first, second := add(t, tab, peers), add(t, tab, peers)
	peer := parse(t, "Event: PeerEntry\nChanneltype: IAX2")
	assert.Equal(t, Publish, tab.Offer(peer), "no list is open")
	assert.Equal(t, Answer, tab.Offer(start(t, first.ID)))
	assert.Equal(t, Answer, tab.Offer(peer))
	assert.Equal(t, Publish, tab.Offer(parse(t, "Event: Hangup\nPrivilege: call,all")), "not of a list")
	assert.Equal(t, Publish, tab.Offer(parse(t, "Event: PeerEntry\nPrivilege: system,all")), "a broadcast of that name")
	assert.Equal(t, Stranger, tab.Offer(parse(t, "Response: Success")))
	assert.Equal(t, Answer, tab.Offer(parse(t, "Event: PeerlistComplete\nActionID: "+first.ID+"\nEventList: Complete")))
	assert.True(t, ended(first))
	assert.Equal(t, Publish, tab.Offer(peer), "between the lists")
	assert.Equal(t, Answer, tab.Offer(start(t, second.ID)))
	assert.Equal(t, Answer, tab.Offer(peer))
	assert.Equal(t, Answer, tab.Offer(peer))
	tab.Expire(second, errCause)
	assert.Equal(t, Late, tab.Offer(peer))
	assert.Equal(t, Late, tab.Offer(parse(t, "Event: PeerlistComplete\nActionID: "+second.ID+"\nEventList: Complete")))
	assert.Equal(t, Publish, tab.Offer(peer))
	assert.Len(t, first.Items, 1)
	assert.Len(t, second.Items, 2)
	assert.Empty(t, tab.lists)
	assert.Zero(t, tab.open.Load())
	assert.Zero(t, tab.Len())
}

func TestReject(t *testing.T) { // C3
	t.Parallel()
	tab := table(10)
	p, other := add(t, tab, single), add(t, tab, single)
	assert.False(t, tab.Reject(head(t, ""), errCause))
	assert.False(t, tab.Reject(head(t, "node1:ba9876543210:1"), errCause))
	assert.True(t, tab.Reject(head(t, p.ID), errCause))
	<-p.Done()
	assert.Equal(t, strategy.Expired, p.Verdict)
	require.ErrorIs(t, p.Cause, errCause)
	assert.False(t, tab.Reject(head(t, p.ID), errCause), "only once")
	assert.False(t, ended(other))
	assert.Equal(t, 1, tab.Len())
}

// enders are the ways an action ends without its answer.
var enders = map[string]func(*Table, *Pending, error){
	"expire":  (*Table).Expire,
	"abandon": (*Table).Abandon,
	"end":     func(t *Table, p *Pending, cause error) { t.End(p.Epoch, cause) },
	"reject": func(t *Table, p *Pending, cause error) {
		f, err := frame.Parse("Response: Success\nActionID: " + p.ID + "\n\n")
		if err != nil {
			panic(err)
		}
		t.Reject(f, cause)
	},
}

func TestEndsOnce(t *testing.T) { // C3, C5, C8
	t.Parallel()
	for name, end := range enders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []strategy.Strategy{single, bare, peers} {
				tab := table(10)
				p := of(tab, 1, s)
				calls := 0
				p.OnEnd = func(q *Pending) {
					assert.Same(t, p, q)
					assert.True(t, ended(q), "done is closed before")
					assert.Zero(t, tab.Len(), "and the table is free: %s may use it", name)
					calls++
				}
				require.NoError(t, tab.Add(p))
				require.True(t, p.Take())
				if s.Kind == strategy.List {
					require.Equal(t, Answer, tab.Offer(start(t, p.ID)))
				}
				end(tab, p, errCause)
				for _, again := range enders {
					again(tab, p, errors.New("later"))
				}
				assert.Equal(t, Late, tab.Offer(success(t, p.ID)))
				<-p.Done()
				assert.Equal(t, 1, calls)
				assert.Equal(t, strategy.Expired, p.Verdict)
				assert.Equal(t, errCause, p.Cause)
				assert.True(t, p.Sent)
				assert.Zero(t, tab.Len())
				assert.Zero(t, tab.open.Load())
				assert.Empty(t, tab.bare)
				assert.Empty(t, tab.lists)
			}
		})
	}
}

func TestAnswerWins(t *testing.T) { // C3
	t.Parallel()
	tab := table(10)
	p := add(t, tab, single)
	assert.Equal(t, Answer, tab.Offer(success(t, p.ID)))
	for _, end := range enders {
		end(tab, p, errCause)
	}
	assert.Equal(t, strategy.Done, p.Verdict)
	require.NoError(t, p.Cause)
}

func TestEndersLeaveOthersAlone(t *testing.T) { // C3, C5
	t.Parallel()
	tab := table(10)
	old, next := of(tab, 1, single), of(tab, 2, single)
	require.NoError(t, tab.Add(old))
	require.NoError(t, tab.Add(next))
	never := of(tab, 2, single) // in no table
	tab.Abandon(never, errCause)
	tab.Expire(never, errCause)
	assert.False(t, ended(never))
	tab.End(1, errCause)
	assert.True(t, ended(old))
	assert.False(t, ended(next))
	assert.Equal(t, 1, tab.Len())
}

func TestExpirePartial(t *testing.T) { // C2
	t.Parallel()
	tab := table(10)
	s := entries
	s.Partial = true
	p := add(t, tab, s)
	require.Equal(t, Answer, tab.Offer(start(t, p.ID)))
	tab.Expire(p, errCause)
	<-p.Done()
	assert.Equal(t, strategy.PartialDone, p.Verdict)
	assert.NotNil(t, p.Response)
}

func TestSentIsExact(t *testing.T) { // C5
	t.Parallel()
	ours, peer := net.Pipe()
	c := conn.New(ours, conn.Config{QueueEntries: 4, QueueBytes: 1024, WriteTimeout: 10 * time.Second, OnQuiet: func() {}})
	tab := table(10)
	lost, written := queue(t, tab, single), queue(t, tab, single)
	lost.Bytes, written.Bytes = []byte("lost"), []byte("written")
	require.NoError(t, c.Enqueue(&lost.Out))
	require.NoError(t, c.Enqueue(&written.Out))
	tab.Abandon(lost, errCause) // before there is a writer
	assert.False(t, lost.Sent, "no byte of it ever leaves")

	c.Start()
	got := make([]byte, len("written"))
	_, err := io.ReadFull(peer, got)
	require.NoError(t, err)
	assert.Equal(t, "written", string(got))
	tab.End(1, errCause)
	<-written.Done()
	assert.True(t, written.Sent)
	assert.False(t, lost.Sent)

	c.Close(errCause)
	c.Wait()
	require.NoError(t, peer.Close())
}

func TestMoreAndTake(t *testing.T) {
	t.Parallel()
	tab := table(10)
	p := of(tab, 1, entries)
	p.More = make(chan struct{}, 1)
	require.NoError(t, tab.Add(p))
	require.True(t, p.Take())
	item := parse(t, "Event: Entry\nActionID: "+p.ID)
	require.Equal(t, Answer, tab.Offer(start(t, p.ID)))
	require.Equal(t, Answer, tab.Offer(item))
	require.Equal(t, Answer, tab.Offer(item))
	assert.Len(t, p.More, 1, "one signal for all, and nobody waits for its reader")
	<-p.More
	assert.Equal(t, []*frame.Frame{item, item}, tab.Take(p))
	assert.Empty(t, tab.Take(p))

	require.Equal(t, Answer, tab.Offer(item))
	assert.Len(t, p.More, 1)
	require.Equal(t, Answer, tab.Offer(parse(t, "Event: EntryComplete\nActionID: "+p.ID+"\nEventList: Complete")))
	<-p.Done()
	assert.Equal(t, []*frame.Frame{item}, tab.Take(p), "what came before the end is still there")
}

func TestIdle(t *testing.T) { // C3
	t.Parallel()
	tab := table(10)
	<-tab.Idle() // nothing is pending
	a, b := add(t, tab, single), add(t, tab, single)
	first, second := tab.Idle(), tab.Idle()
	tab.Abandon(a, errCause)
	select {
	case <-first:
		require.Fail(t, "one is still pending")
	default:
	}
	tab.Abandon(b, errCause)
	<-first
	<-second
	<-tab.Idle()
}

func TestConcurrentEnds(t *testing.T) { // C3, C5
	t.Parallel()
	const workers, each = 16, 150
	tab := table(workers * each)
	kinds := []strategy.Strategy{single, entries, bare, peers, strategy.AsyncBy("OriginateResponse"), {}}
	var (
		wg, ends sync.WaitGroup
		epoch    atomic.Uint64
		added    atomic.Int64
		finished atomic.Int64
	)
	epoch.Store(1)
	everybody := func(wires ...string) []*frame.Frame {
		var all []*frame.Frame
		for _, w := range wires {
			f, err := frame.Parse(w + "\n\n")
			require.NoError(t, err)
			all = append(all, f)
		}
		return all
	}
	noise := everybody("Event: Hangup\nPrivilege: call,all", "Event: PeerEntry", "a text", "Response: Success")
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				p := of(tab, epoch.Load(), kinds[(w+i)%len(kinds)])
				p.More = make(chan struct{}, 1)
				var calls atomic.Int32
				ends.Add(1)
				p.OnEnd = func(*Pending) {
					finished.Add(1)
					if calls.Add(1) == 1 {
						ends.Done()
					}
				}
				if err := tab.Add(p); err != nil {
					assert.ErrorIs(t, err, ErrEnded)
					ends.Done()
					continue
				}
				added.Add(1)
				p.Take()
				answer := everybody(
					fmt.Sprintf("Response: Success\nActionID: %s\nEventList: start", p.ID),
					"Event: Entry\nActionID: "+p.ID,
					fmt.Sprintf("Event: %s\nActionID: %s\nEventList: Complete", append(p.Strategy.Terminal, "End")[0], p.ID),
				)
				var race sync.WaitGroup
				race.Go(func() {
					for _, f := range append(answer, noise...) {
						tab.Offer(f)
					}
				})
				race.Go(func() { tab.Take(p) })
				switch rand.IntN(6) {
				case 0:
					race.Go(func() { tab.Expire(p, errCause) })
				case 1:
					race.Go(func() { tab.Reject(head(t, p.ID), errCause) })
				case 2:
					race.Go(func() { tab.End(epoch.Add(1)-1, errCause) })
				default:
					race.Go(func() { tab.Abandon(p, errCause) })
				}
				race.Wait()
				tab.Abandon(p, errCause) // as every caller does
				<-p.Done()
				assert.Greater(t, p.Verdict, strategy.Keep)
			}
		})
	}
	wg.Wait()
	ends.Wait()
	assert.Equal(t, added.Load(), finished.Load(), "each ended exactly once")
	assert.Zero(t, tab.Len())
	assert.Zero(t, tab.open.Load())
	assert.Empty(t, tab.bare)
	assert.Empty(t, tab.lists)
	<-tab.Idle()
}
