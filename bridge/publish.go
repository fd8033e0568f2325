package bridge

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/apn/ami/bridge/spool"
)

// A publisher takes what is in the spool to the broker, in order, and keeps on
// trying while that is away. It runs on one goroutine.
type publisher struct {
	spool   *spool.Spool
	broker  Broker
	log     *slog.Logger
	lost    *lossCount
	metrics *metrics
	// fenced is told of a hold that another process has ended.
	fenced  func(node, instance string)
	waiters waiters

	backlog  spool.Position // of the last entry that was in the spool at the start
	caughtUp chan struct{}  // closed when all up to it are out

	outage   outage
	decoder  decoder
	envelope *envelope
	records  []Record
	heads    map[string]uint64 // Seq of the last record of each group that was read, or is missing
	damaged  bool              // entries are missing of which nothing is known
	dead     map[string]bool   // groups that are fenced
}

func newPublisher(w *work, b *Bridge, v *envelope) *publisher {
	p := &publisher{
		spool: w.spool, broker: b.broker, log: b.options.Logger, lost: &b.lost, metrics: b.metrics,
		fenced: func(string, string) {}, envelope: v, heads: make(map[string]uint64), dead: make(map[string]bool),
		outage: outage{log: b.options.Logger},
	}
	p.caughtUp = make(chan struct{})
	if s := w.spool.Stats(); s.Entries > 0 {
		p.backlog = s.Last
	}
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
		p.caught(b.Last)
		if err = p.spool.Ack(b.Last); err != nil {
			p.log.Error("what was published will be published again after a restart", "error", err)
		}
		retry.Reset()
	}
}

// caught notes that all up to a position is out.
func (p *publisher) caught(out spool.Position) {
	select {
	case <-p.caughtUp:
	default:
		if out >= p.backlog {
			close(p.caughtUp)
		}
	}
}

// take makes records of a batch, with gaps where others are missing.
func (p *publisher) take(b *spool.Batch) {
	if len(p.heads) > headsMost {
		clear(p.heads)
		clear(p.dead)
	}
	clear(p.records)
	p.records = p.records[:0]
	for i := range b.Losses {
		p.miss(&b.Losses[i])
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		var r Record
		if err := p.decoder.decode(e.Data, &r); err != nil {
			p.lost.spool.Add(1)
			p.log.Error("an entry of the spool cannot be published", "error", err)
			continue
		}
		switch h, known := p.heads[e.Group]; {
		case known && r.Seq > h+1: // damaged, or too large for the spool
			p.tell(&r, r.Seq-1, r.Seq-1-h)
		case !known && p.damaged && r.Seq > 1: // perhaps; if not, the gap is a duplicate of that record
			p.tell(&r, r.Seq-1, 0)
		}
		p.heads[e.Group] = r.Seq
		p.records = append(p.records, r)
	}
}

// miss tells of a loss.
func (p *publisher) miss(l *spool.Loss) {
	p.lost.spool.Add(l.Count)
	p.log.Warn("the spool has lost records", "group", l.Group, "records", l.Count)
	if l.Unknown {
		p.damaged = true
		return
	}
	var r Record
	if _, err := decodeNumbers(l.Tail, &r); err != nil {
		p.log.Error("a loss of the spool cannot be told", "group", l.Group, "error", err)
		return
	}
	r.Instance, r.Node, _ = strings.Cut(l.Group, "/")
	missing := l.Count
	if h, known := p.heads[l.Group]; known && r.Seq > h {
		missing = r.Seq - h // damaged ones as well, of which the spool does not know whose they were
	}
	p.heads[l.Group] = r.Seq
	p.tell(&r, r.Seq, missing)
}

// tell appends a gap in place of records that are missing; 0: nobody knows how
// many. It takes the number of the last of them: should that have been published
// after all, because only its confirmation got lost, all of them were, and the gap
// is its duplicate.
func (p *publisher) tell(like *Record, seq, missing uint64) {
	r := Record{
		Instance: like.Instance, Node: like.Node, Epoch: like.Epoch, Seq: seq, Kind: KindGap, Name: "Gap",
		Time: like.Time, Token: like.Token,
	}
	b := p.envelope.open(nil, &r)
	b = appendGap(b, &r, gap{from: r.Epoch, to: r.Epoch, lost: missing, reason: "the spool has dropped records, or lost them"})
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
			p.outage.begin(err, p.spool.Stats().Entries)
			if !p.wait(ctx, reading, retry.NextBackOff()) {
				return false
			}
			continue
		}
		p.outage.end()
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
