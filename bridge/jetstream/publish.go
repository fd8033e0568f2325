package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
)

// maxWindow is the number of records in flight. The server takes no more than
// 10,000 messages for a stream at a time.
const maxWindow = 1024

// maxSubject is the longest subject that is sent. The server ends the connection
// for a line of more than 4,096 bytes, which has the subject for the answer and
// two lengths as well.
const maxSubject = 3072

// The headers of a record, apart from those of NATS.
const (
	HeaderNode     = "Ami-Node"
	HeaderInstance = "Ami-Instance"
	HeaderEpoch    = "Ami-Epoch"
	HeaderSeq      = "Ami-Seq"
	HeaderKind     = "Ami-Kind"
	HeaderTime     = "Ami-Time"
)

// What nats.go has no name for.
const (
	codeHeadersTooLarge = 10097
	codeStoreFailed     = 10077
	codeNoResources     = 10023
	codeNoStorage       = 10047
)

// Publish implements bridge.Broker. It sends up to 1024 records before it waits
// for their confirmations. A *bridge.RefusedError is about a record that is too
// large for the server or the stream, or has too long a name, that a takeover has fenced off, or that is a
// takeover, which Fence alone publishes. Any other error, as
// ErrFull, ErrAckTimeout, *DeniedError or *StreamError, leaves the rest to be
// published again, over a new connection if the server has not answered. If a
// stream with replicas refuses a record because the one before it of that node is
// still on its way to them, Publish sends it again, for AckTimeout at most.
//
// If the server refuses a record for the moment, as with ErrFull, it may take some
// of those behind it that are on their way: when they are published again they
// are duplicates, and Stats.Reordered tells how many. Until a window goes through
// the next ones are smaller, from one record up.
func (b *Broker) Publish(ctx context.Context, records []bridge.Record) (stored int, err error) {
	b.publishing.Lock()
	defer b.publishing.Unlock()
	ctx, release := b.bound(ctx)
	defer release()
	until := time.Now().Add(b.o.AckTimeout)
	for stored < len(records) {
		var n int
		n, err = b.window(ctx, records[stored:])
		stored += n
		if onItsWay(err) && time.Now().Before(until) && pause(ctx) == nil {
			continue
		}
		if err != nil {
			break
		}
	}
	if refused(err) {
		b.counts.refused.Add(1)
	}
	return stored, err
}

// onItsWay tells whether the server, of a stream with replicas, still has the last
// record of the node on its way to them, although it has confirmed it: for that
// moment it compares nothing, and refuses the next one.
func onItsWay(err error) bool {
	api, ok := errors.AsType[*js.APIError](err)
	return ok && api.ErrorCode == js.JSErrCodeStreamWrongLastSequenceConstant
}

// window publishes the first of the records: as many as may be in flight.
func (b *Broker) window(ctx context.Context, records []bridge.Record) (stored int, err error) {
	l, err := b.forRecords(ctx)
	if err != nil {
		return 0, err
	}
	records = records[:min(len(records), b.width)]
	if l.replicas > 1 {
		records = records[:separate(records)]
	}
	stop := context.AfterFunc(ctx, l.raw.cut) // a write may be stuck
	defer stop()

	w := window{link: l, options: &b.o, timer: time.NewTimer(b.o.AckTimeout)}
	defer w.timer.Stop()
	w.send(records)
	w.timer.Reset(b.o.AckTimeout) // sending may have taken long
	answered := false
	for i, f := range w.sent {
		ack, err := w.wait(ctx, f)
		if err != nil {
			answered = isAnswer(err)
			w.halted = b.verdict(&records[i], err)
			break
		}
		b.confirmed(&records[i], ack)
		stored++
	}
	switch {
	case w.halted == nil:
		b.width = min(4*b.width, maxWindow)
	case refused(w.halted):
		// The others of the window are on their way, and wanted. What becomes of
		// them is known when they are published again.
		for _, f := range w.sent[min(stored+1, len(w.sent)):] {
			if _, err := w.wait(ctx, f); err != nil && !isAnswer(err) {
				b.drop(&b.records, err)
				break
			}
		}
	case answered: // the connection is good, and keeps the order
		b.width = 1
	default:
		b.width = 1
		b.drop(&b.records, w.halted)
	}
	return stored, w.halted
}

// separate returns how many records may be in flight at a time if the stream has
// replicas: the server cannot compare two of a node with the same token at once
// and refuses the second.
func separate(records []bridge.Record) int {
	nodes := make(map[string]bool)
	for i := range records {
		if records[i].Token == 0 {
			continue
		}
		if nodes[records[i].Node] {
			return i
		}
		nodes[records[i].Node] = true
	}
	return len(records)
}

// A window is what is in flight.
type window struct {
	*link
	options *Options
	sent    []js.PubAckFuture
	denied  map[string]*DeniedError // by subject
	timer   *time.Timer             // since the last confirmation
	halted  error                   // why not all were published
}

// send sends the records up to one that cannot be sent.
func (w *window) send(records []bridge.Record) {
	w.sent = make([]js.PubAckFuture, 0, len(records))
	for i := range records {
		r := &records[i]
		if r.Kind == bridge.KindTakeover {
			w.halted = refusal(r, errors.New("a takeover is published by Fence"))
			return
		}
		m := w.options.message(r)
		if len(m.Subject) > maxSubject {
			w.halted = refusal(r, fmt.Errorf("its subject has %d bytes, %d are allowed", len(m.Subject), maxSubject))
			return
		}
		// Without attempts: the library would send it again behind the next ones.
		f, err := w.js.PublishMsgAsync(m, js.WithRetryAttempts(0))
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			w.halted = refusal(r, err) // nothing was sent
			return
		case err != nil:
			w.halted = lost(err)
			w.end(w.halted)
			return
		}
		w.sent = append(w.sent, f)
	}
}

// message is the record as it is published.
func (o *Options) message(r *bridge.Record) *nats.Msg {
	// One array holds all values: a slice for each is most of the garbage.
	values := [9]string{
		r.ID(), r.Node, r.Instance, strconv.FormatUint(r.Epoch, 10), strconv.FormatUint(r.Seq, 10),
		r.Kind.String(), r.Time.UTC().Format(time.RFC3339Nano),
	}
	h := make(nats.Header, len(values))
	for i, key := range [...]string{
		js.MsgIDHeader, HeaderNode, HeaderInstance, HeaderEpoch, HeaderSeq, HeaderKind, HeaderTime,
	} {
		h[key] = values[i : i+1 : i+1]
	}
	if r.Token != 0 {
		values[7], values[8] = strconv.FormatUint(r.Token, 10), o.takeovers(r.Node)
		h[js.ExpectedLastSubjSeqHeader] = values[7:8:8]
		h[js.ExpectedLastSubjSeqSubjHeader] = values[8:9:9]
	}
	return &nats.Msg{Subject: o.subject(r), Header: h, Data: r.Payload}
}

// wait waits for the confirmation of one record.
func (w *window) wait(ctx context.Context, f js.PubAckFuture) (*js.PubAck, error) {
	ok, failed := f.Ok(), f.Err()
	for {
		if d := w.denied[f.Msg().Subject]; d != nil {
			return nil, d
		}
		select {
		case ack := <-ok:
			w.timer.Reset(w.options.AckTimeout)
			return ack, nil
		case err := <-failed:
			return nil, err
		case d := <-w.link.denied:
			if w.denied == nil {
				w.denied = make(map[string]*DeniedError)
			}
			w.denied[d.Subject] = d
		case <-w.timer.C:
			return nil, ErrAckTimeout
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-w.link.ctx.Done():
			select {
			case ack := <-ok: // it has come in time
				return ack, nil
			default:
				return nil, context.Cause(w.link.ctx)
			}
		}
	}
}

// isAnswer tells whether err is the server's answer to a record.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*js.APIError](err)
	return ok
}

// verdict tells what became of a record that was not stored.
func (b *Broker) verdict(r *bridge.Record, err error) error {
	if errors.Is(err, js.ErrNoStreamResponse) {
		return fmt.Errorf("jetstream: stream %s does not answer: %w", b.o.Stream, err)
	}
	api, ok := errors.AsType[*js.APIError](err)
	if !ok {
		return err
	}
	switch {
	case api.ErrorCode == js.JSErrCodeStreamWrongLastSequence && r.Token != 0:
		return refusal(r, fmt.Errorf("%w: %w", bridge.ErrFenced, err))
	case api.ErrorCode == js.JSErrCodeStreamMessageExceedsMaximum, api.ErrorCode == codeHeadersTooLarge:
		return refusal(r, err)
	case api.ErrorCode == codeStoreFailed, api.ErrorCode == codeNoResources, api.ErrorCode == codeNoStorage:
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("jetstream: %s: %w", r.ID(), err)
}

func refusal(r *bridge.Record, err error) error {
	return &bridge.RefusedError{ID: r.ID(), Node: r.Node, Err: err}
}

// A place is where the last record of a node that was confirmed is in the stream.
type place struct {
	instance string
	record   uint64 // its Seq
	stream   uint64 // its sequence in the stream
}

// confirmed counts a record that is stored.
func (b *Broker) confirmed(r *bridge.Record, ack *js.PubAck) {
	b.counts.published.Add(1)
	if ack.Duplicate {
		b.counts.duplicates.Add(1)
	}
	last := b.newest[r.Node]
	b.newest[r.Node] = place{r.Instance, r.Seq, ack.Sequence}
	if last.instance == r.Instance && last.record < r.Seq && ack.Sequence < last.stream {
		b.counts.reordered.Add(1)
		b.disorder.Do(func() {
			b.o.Logger.Warn("jetstream: records are stored out of order: the server refused some and took later ones; consumers order them by Ami-Seq",
				"node", r.Node, "instance", r.Instance, "seq", r.Seq)
		})
	}
}
