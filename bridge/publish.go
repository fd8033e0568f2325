package bridge

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apn/ami/bridge/spool"
)

// A publisher takes what is in the spool to the broker, in order, and keeps on
// trying while that is away. It runs on one goroutine.
type publisher struct {
	spool   *spool.Spool
	broker  Broker
	memory  *memory
	log     *slog.Logger
	lost    *lossCount
	metrics *metrics
	// fenced is told of a hold that another process has ended.
	fenced  func(node, instance string)
	waiters waiters

	backlog  uint64        // entries that were in the spool at the start and are not out
	caughtUp chan struct{} // closed when all of them are

	up       atomic.Bool // the last attempt went well, or there was none
	decoder  decoder
	envelope *envelope
	records  []Record
	heads    map[string]head // by group
	dead     map[string]bool // groups that are fenced
}

// A head is the last record of a group that was read.
type head struct {
	epoch, seq, token uint64
	at                time.Time
}

func newPublisher(w *work, b *Bridge, v *envelope) *publisher {
	p := &publisher{
		spool: w.spool, broker: b.broker, memory: w.memory, log: b.options.Logger, lost: &b.lost, metrics: b.metrics,
		fenced: func(string, string) {}, envelope: v, heads: make(map[string]head), dead: make(map[string]bool),
	}
	p.up.Store(true)
	p.caughtUp = make(chan struct{})
	p.backlog = w.spool.Stats().Entries
	p.caught(0)
	return p
}

// How much is offered to the broker at a time.
const (
	batchRecords = 4000
	batchBytes   = 4 << 20
)

// headsMost bounds what is remembered of holds, which end and never come again.
const headsMost = 10_000

// run publishes until ctx ends, or all that there is has been published after
// reading has ended.
func (p *publisher) run(ctx, reading context.Context) {
	retry := newRetry()
	for ctx.Err() == nil {
		b, err := p.spool.Read(reading, batchRecords, batchBytes) // it looks at reading only if there is nothing
		switch {
		case err != nil && reading.Err() != nil:
			return
		case err != nil:
			p.log.Error("the spool cannot be read", "error", err)
			pause(ctx, retry.NextBackOff())
			continue
		}
		p.take(&b)
		if !p.publish(ctx, reading) {
			return // they stay in the spool
		}
		p.waiters.passed(p.heads)
		p.caught(uint64(len(b.Entries)) + missing(b.Losses))
		if err = p.spool.Ack(b.Last); err != nil {
			p.log.Error("what was published will be published again after a restart", "error", err)
		}
		retry.Reset()
	}
}

// caught counts entries that are out against the backlog.
func (p *publisher) caught(entries uint64) {
	select {
	case <-p.caughtUp:
		return
	default:
	}
	if p.backlog -= min(p.backlog, entries); p.backlog == 0 {
		close(p.caughtUp)
	}
}

func missing(losses []spool.Loss) (n uint64) {
	for _, l := range losses {
		n += l.Count
	}
	return n
}

// take makes records of a batch, with gaps where others are missing.
func (p *publisher) take(b *spool.Batch) {
	if len(p.heads) > headsMost {
		clear(p.heads)
		clear(p.dead)
	}
	clear(p.records)
	p.records = p.records[:0]
	losses := make(map[string]uint64, len(b.Losses))
	for _, l := range b.Losses {
		p.lost.spool.Add(l.Count)
		p.log.Warn("the spool has lost records", "group", l.Group, "records", l.Count)
		if !l.Unknown {
			losses[l.Group] += l.Count
		}
	}
	p.tellOf(losses, b.Entries)
	for i := range b.Entries {
		e := &b.Entries[i]
		var r Record
		if err := p.decoder.decode(e.Data, &r); err != nil {
			p.lost.spool.Add(1)
			p.log.Error("an entry of the spool cannot be published", "error", err)
			continue
		}
		h, known := p.heads[e.Group]
		missing := losses[e.Group]
		if known && r.Seq > h.seq {
			missing = r.Seq - h.seq - 1 // damaged ones as well, of which the spool does not know whose they were
		}
		delete(losses, e.Group)
		if missing > 0 {
			p.tell(r, r.Seq-1, missing)
		}
		p.heads[e.Group] = head{r.Epoch, r.Seq, r.Token, r.Time}
		p.records = append(p.records, r)
	}
}

// tellOf appends gaps for losses of groups of which nothing comes behind them in
// the batch, and takes those out of losses.
func (p *publisher) tellOf(losses map[string]uint64, entries []spool.Entry) {
	if len(losses) == 0 {
		return
	}
	goesOn := make(map[string]bool)
	for i := range entries {
		goesOn[entries[i].Group] = true
	}
	for _, group := range slices.Sorted(maps.Keys(losses)) {
		if goesOn[group] {
			continue
		}
		h := p.head(group)
		h.seq += losses[group]
		p.heads[group] = h
		instance, node, _ := strings.Cut(group, "/")
		p.tell(Record{Instance: instance, Node: node, Epoch: h.epoch, Token: h.token, Time: h.at}, h.seq, losses[group])
		delete(losses, group)
	}
}

// head is the last record of a group that this process or an earlier one has
// read, as far as it is known.
func (p *publisher) head(group string) head {
	if h, ok := p.heads[group]; ok {
		return h
	}
	instance, node, _ := strings.Cut(group, "/")
	h := head{epoch: 1, at: time.Now()}
	if l := p.memory.of(node); l != nil && l.Instance == instance {
		h.epoch, h.at = l.Epoch, l.Time
	}
	return h
}

// tell appends a gap in place of records that are missing. It takes the number of
// the last of them: should that have been published after all, because only its
// confirmation got lost, all of them were, and the gap is its duplicate.
func (p *publisher) tell(like Record, seq, missing uint64) {
	r := Record{
		Instance: like.Instance, Node: like.Node, Epoch: like.Epoch, Seq: seq, Kind: KindGap, Name: "Gap",
		Time: like.Time, Token: like.Token,
	}
	b := p.envelope.open(nil, &r)
	b = appendGap(b, &r, gap{from: r.Epoch, to: r.Epoch, lost: missing, reason: "the spool was full and dropped records"})
	r.Payload = p.envelope.close(b)
	p.records = append(p.records, r)
}

// publish publishes the records, and reports whether all that can be are out.
func (p *publisher) publish(ctx, reading context.Context) bool {
	retry := newRetry()
	for rest := p.records; ; {
		rest = p.alive(rest)
		if len(rest) == 0 {
			return true
		}
		start := time.Now()
		n, err := p.broker.Publish(ctx, rest)
		n = min(max(n, 0), len(rest))
		p.metrics.published(rest[:n], time.Since(start), n == len(rest))
		rest = rest[n:]
		refused, isRefused := errors.AsType[*RefusedError](err)
		switch {
		case len(rest) == 0:
		case isRefused:
			p.refuse(&rest[0], refused)
			rest = rest[1:]
		default:
			p.metrics.failures.Inc()
			if n > 0 {
				retry.Reset()
			}
			if p.up.Swap(false) {
				p.log.Warn("the broker is away", "error", err, "waiting", p.spool.Stats().Entries)
			}
			if !p.wait(ctx, reading, retry.NextBackOff()) {
				return false
			}
			continue
		}
		if !p.up.Swap(true) {
			p.log.Info("the broker is back")
		}
		retry.Reset()
	}
}

// lastWait is the longest wait for the broker once the bridge is ending: there is
// not much time left.
const lastWait = 500 * time.Millisecond

// wait waits before the next attempt, and reports whether there may be one.
func (p *publisher) wait(ctx, reading context.Context, d time.Duration) bool {
	if reading.Err() == nil && pause(reading, d) {
		return true
	}
	return pause(ctx, min(d, lastWait))
}

// alive skips records of holds that another process has ended: they would be
// refused one by one.
func (p *publisher) alive(rest []Record) []Record {
	for len(rest) > 0 && len(p.dead) > 0 && p.dead[groupOf(rest[0].Instance, rest[0].Node)] {
		p.metrics.fenced.Inc()
		rest = rest[1:]
	}
	return rest
}

// refuse counts a record that the broker will never take.
func (p *publisher) refuse(r *Record, why *RefusedError) {
	if errors.Is(why, ErrFenced) {
		p.metrics.fenced.Inc()
		p.dead[groupOf(r.Instance, r.Node)] = true
		p.log.Warn("another process holds the node", "node", r.Node, "instance", r.Instance)
		p.fenced(r.Node, r.Instance)
		return
	}
	p.metrics.refused.Inc()
	p.log.Error("the broker refused a record", "id", r.ID(), "event", r.Name, "bytes", len(r.Payload), "error", why.Err)
}
