package bridge

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/event"
)

// A journal makes records of what happens to the nodes and collects them, so that
// the spool gets all that came while it was writing as one batch.
type journal struct {
	run      string // the name of this start
	leased   bool   // nodes come by admit alone
	envelope *envelope
	memory   *memory
	lost     *lossCount

	mu    sync.Mutex
	more  sync.Cond // there is a batch, or there will be none any more
	room  sync.Cond // the batch was taken
	holds map[string]*hold
	ended map[string]last // where the last hold of each node has ended
	count uint64          // holds so far
	rec   Record          // that which is being made
	fill  pile            // being filled
	spare pile            // empty, to be filled next; the writer has it meanwhile
	over  bool
}

// A pile is a batch of records on its way to the spool.
type pile struct {
	buf   []byte // entries, one behind the other
	marks []mark
	holds []*hold // of which it has records
}

// A mark is the end of an entry in buf.
type mark struct {
	group string
	end   int
}

// pileMost is where a batch is full: then what brings events waits, and the
// buffer of the subscription fills.
const pileMost = 8 << 20

func newJournal(run string, leased bool, v *envelope, m *memory, lost *lossCount) *journal {
	j := &journal{run: run, leased: leased, envelope: v, memory: m, lost: lost, holds: make(map[string]*hold), ended: make(map[string]last)}
	j.more.L, j.room.L = &j.mu, &j.mu
	return j
}

// events records all events until the subscription ends.
func (j *journal) events(s *ami.Subscription) {
	for e, err := range s.All(context.Background()) {
		if err == nil { // such a context never ends, and there is no other error
			j.event(&e)
		}
	}
}

// event records an event or a gap, and before it what is missing.
func (j *journal) event(e *event.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.await()
	h := j.holds[e.Node]
	if h == nil {
		if j.leased { // it was let go of: what it said is told by who has it now
			return
		}
		h = j.open(e.Node)
	}
	if e.Time.Before(h.since) { // the same, and it has it again
		return
	}
	missing := h.hear(e)
	j.lost.subscription.Add(missing)
	j.begin(h, e.Time)
	if g, ok := e.Gap(); ok {
		if !g.Final() {
			h.epoch = g.To
		}
		j.gap(h, e.Time, gapOf(g, missing))
		if g.Final() {
			j.end(h)
		}
		return
	}
	if missing > 0 {
		j.gap(h, e.Time, gap{from: h.epoch, to: h.epoch, lost: missing, reason: "the bridge was too slow and dropped events"})
	}
	r := j.head(h, KindEvent, e.Name(), e.Time)
	j.fill.buf = appendEvent(j.fill.buf, r, e)
	j.tail(h)
}

// state records a change of state. It reports whether the state is that of the
// node, as far as this process knows.
func (j *journal) state(c *ami.StateChange, s *NodeState) (known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.await()
	h := j.holds[c.Node]
	if h == nil {
		switch ended := j.ended[c.Node]; {
		case j.leased:
			return false
		case c.To == ami.Disconnected: // the final gap of one that was taken out came first
			s.Instance = ended.Instance
			return ended.Instance != ""
		}
		h = j.open(c.Node)
	}
	if c.At.Before(h.since) {
		return false
	}
	if c.To == ami.Ready {
		j.begin(h, c.At)
	}
	s.Instance = h.instance
	r := j.head(h, KindState, "State", c.At) // with the epoch of the events around it
	j.fill.buf = appendState(j.fill.buf, r, s)
	j.tail(h)
	return true
}

// admit opens the hold of a node that a lease has given to this process. If told
// is set, what may be missing before it has been told.
func (j *journal) admit(node, instance string, token uint64, told bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := newHold(instance, node)
	h.token, h.since = token, time.Now()  // the node is not in the cluster yet
	if old := j.holds[node]; old != nil { // the same sessions, with a new token
		h.epoch, h.heard, h.since = old.epoch, old.heard, old.since
		j.end(old)
		told = false // what came since the broker has the token is dropped with the old one
	}
	if !told {
		h.before = j.before(node)
	}
	j.holds[node] = h
}

// holdOf returns the hold of a node, nil if there is none.
func (j *journal) holdOf(node string) *hold {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.holds[node]
}

// release ends a hold, if its final gap has not done it, and returns the number
// of its last record.
func (j *journal) release(h *hold) (seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.holds[h.node] == h {
		j.end(h)
	}
	return h.seq
}

// newInstance names one more hold.
func (j *journal) newInstance() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.nextInstance()
}

func (j *journal) nextInstance() string {
	j.count++
	return j.run + "." + strconv.FormatUint(j.count, 10)
}

func (j *journal) open(node string) *hold {
	h := newHold(j.nextInstance(), node)
	h.before = j.before(node)
	j.holds[node] = h
	return h
}

// before is what is known of earlier holds of a node, of this process or another.
func (j *journal) before(node string) *last {
	if l, ok := j.ended[node]; ok {
		return &l
	}
	return j.memory.of(node)
}

func (j *journal) end(h *hold) {
	delete(j.holds, h.node)
	close(h.over)
	if h.seq > 0 {
		j.ended[h.node] = h.last()
	}
}

// begin tells, before the first thing that a hold has heard, what came before it:
// between the two something may be missing.
func (j *journal) begin(h *hold, at time.Time) {
	before := h.before
	if h.before = nil; before == nil {
		return
	}
	after, why := "", "the bridge was restarted"
	if before.Seq > 0 {
		after = before.id(h.node)
	}
	if strings.HasPrefix(before.Instance, j.run+".") {
		why = "the node was taken up again"
	}
	j.gap(h, at, gap{
		from: before.Epoch, to: h.epoch, down: max(at.Sub(before.Time), 0), after: after,
		reason: fmt.Sprintf("%s: %s was before", why, before.Instance),
	})
}

// gap records one.
func (j *journal) gap(h *hold, at time.Time, g gap) {
	r := j.head(h, KindGap, "Gap", at)
	j.fill.buf = appendGap(j.fill.buf, r, g)
	j.tail(h)
}

// head begins a record; its payload is to be appended to fill.buf, and then tail
// be called.
func (j *journal) head(h *hold, kind Kind, name string, at time.Time) *Record {
	h.seq, h.at = h.seq+1, at
	j.rec = Record{
		Instance: h.instance, Node: h.node, Epoch: h.epoch, Seq: h.seq, Kind: kind, Name: name, Time: at, Token: h.token,
	}
	j.fill.buf = appendEntry(j.fill.buf, &j.rec)
	j.fill.buf = j.envelope.open(j.fill.buf, &j.rec)
	return &j.rec
}

func (j *journal) tail(h *hold) {
	j.fill.buf = j.envelope.close(j.fill.buf)
	j.fill.marks = append(j.fill.marks, mark{h.group, len(j.fill.buf)})
	if !h.pending {
		h.pending = true
		j.fill.holds = append(j.fill.holds, h)
	}
	if len(j.fill.marks) == 1 {
		j.more.Signal()
	}
}

// await waits until there is room in the batch. The caller holds mu.
func (j *journal) await() {
	for len(j.fill.buf) >= pileMost && !j.over {
		j.room.Wait()
	}
}

// take waits for a batch and takes it; false says that none will come any more.
// It and what lasts returns are the caller's until the next take.
func (j *journal) take(lasts []nodeLast) (*pile, []nodeLast, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.fill.marks) == 0 {
		if j.over {
			return nil, nil, false
		}
		j.more.Wait()
	}
	j.fill, j.spare = j.spare, j.fill
	j.fill.empty()
	lasts = lasts[:0]
	for _, h := range j.spare.holds {
		h.pending = false
		lasts = append(lasts, nodeLast{h.node, h.last()})
	}
	j.room.Broadcast()
	return &j.spare, lasts, true
}

// finish says that nothing more will come.
func (j *journal) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	j.more.Broadcast()
	j.room.Broadcast()
}

func (p *pile) empty() {
	p.buf, p.marks = p.buf[:0], p.marks[:0]
	clear(p.holds)
	p.holds = p.holds[:0]
}
