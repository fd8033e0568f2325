package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/apn/ami/bridge"
)

// Headers of an atomic batch, and those of the fence.
const (
	headerBatch     = "Nats-Batch-Id"
	headerSequence  = "Nats-Batch-Sequence"
	headerCommit    = "Nats-Batch-Commit"
	headerFence     = "Nats-Expected-Last-Subject-Sequence"
	headerFenceOver = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// batchMost is how many messages a server takes in one batch.
const batchMost = 1000

// Codes of errors of the server (its jetstream_errors_generated.go).
const (
	codeStreamNotFound = 10059
	codeTooLarge       = 10054
	codeWrongSequence  = 10071
	codeWrongConstant  = 10164
	codeDuplicate      = 10201
)

// Publish implements bridge.Broker. It stores one batch after the other; while the
// server stores one the next is sent, without the message that commits it.
func (b *Broker) Publish(ctx context.Context, records []bridge.Record) (stored int, err error) {
	var next *batch
	for len(records) > 0 {
		n, err := b.some(ctx, records, &next)
		stored, records = stored+n, records[n:]
		if err != nil {
			return stored, err
		}
	}
	return stored, nil
}

// some publishes the first of the records: as one batch if that works, else one by
// one, which tells what is wrong with which. staged is their batch if it has been
// sent already, and then that of those behind them, nil if there is none.
func (b *Broker) some(ctx context.Context, records []bridge.Record, staged **batch) (int, error) {
	limited, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	info, err := b.ensure(limited)
	if err != nil {
		return 0, err
	}
	now := *staged
	*staged = nil
	if now == nil && info.Config.AllowAtomicPublish {
		if now, err = b.stage(records); err != nil {
			return 0, err
		}
	}
	n := 1
	if now != nil {
		n = len(now.records)
		outcome, err := b.commit(limited, now)
		if err != nil {
			return 0, err
		}
		next, err := b.stage(records[n:])
		if e := outcome(); e == nil {
			*staged = next
			return n, err // of those behind these
		} else if api, ok := errors.AsType[*jetstream.APIError](e); !ok || api.ErrorCode == codeStreamNotFound {
			b.forget()
			return 0, e
		}
	}
	for i := range n {
		if err := b.one(ctx, &records[i]); err != nil {
			return i, err
		}
	}
	return n, nil
}

// headerMost is more than the headers of a record take.
const headerMost = 1024

// message makes one of a record. If fenced is set it is stored only if the token is
// that of the node.
func (b *Broker) message(r *bridge.Record, fenced bool) *nats.Msg {
	m := &nats.Msg{Subject: b.subject(r), Data: r.Payload, Header: nats.Header{nats.MsgIdHdr: {r.ID()}}}
	if fenced && r.Token > 0 {
		m.Header[headerFence] = []string{strconv.FormatUint(r.Token, 10)}
		m.Header[headerFenceOver] = []string{b.takeovers(r.Node)}
	}
	return m
}

// A batch is one that was sent but for its last message.
type batch struct {
	records []bridge.Record
	last    *nats.Msg
}

// stage sends the first of the records as a batch that is stored once its last
// message comes. It returns nil if they must go one by one.
func (b *Broker) stage(records []bridge.Record) (*batch, error) {
	n, most := 0, b.nc.MaxPayload()
	for n < min(len(records), batchMost) && int64(len(records[n].Payload)+headerMost) <= most {
		n++
	}
	if n < 2 {
		return nil, nil
	}
	s := &batch{records: records[:n]}
	id := []string{nuid.Next()}
	fenced := make(map[string]uint64) // one of each token says it for all
	for i := range s.records {
		r := &s.records[i]
		m := b.message(r, fenced[r.Node] != r.Token)
		fenced[r.Node] = r.Token
		m.Header[headerBatch], m.Header[headerSequence] = id, []string{strconv.Itoa(i + 1)}
		if s.last = m; i < n-1 {
			if err := b.nc.PublishMsg(m); err != nil {
				return nil, err
			}
		}
	}
	s.last.Header[headerCommit] = []string{"1"}
	return s, nil
}

// commit sends the last message of a batch and returns what waits for its outcome:
// an *APIError if the server refused it.
func (b *Broker) commit(ctx context.Context, s *batch) (outcome func() error, err error) {
	s.last.Reply = b.nc.NewRespInbox()
	answer, err := b.nc.SubscribeSync(s.last.Reply)
	if err != nil {
		return nil, err
	}
	if err = b.nc.PublishMsg(s.last); err != nil {
		return nil, errors.Join(err, answer.Unsubscribe())
	}
	return func() error {
		m, err := answer.NextMsgWithContext(ctx)
		if err := errors.Join(err, answer.Unsubscribe()); err != nil {
			return err
		}
		return s.outcome(m.Data)
	}, nil
}

// outcome reads the server's answer.
func (s *batch) outcome(reply []byte) error {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(reply, &ack); err != nil {
		return fmt.Errorf("jetstream: answer to a batch: %w", err)
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Count != len(s.records) {
		return fmt.Errorf("jetstream: %d of a batch of %d were stored", ack.Count, len(s.records))
	}
	return nil
}

// one publishes a record alone.
func (b *Broker) one(ctx context.Context, r *bridge.Record) error {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	_, err := b.js.PublishMsg(ctx, b.message(r, true), jetstream.WithRetryAttempts(0))
	if err == nil {
		return nil
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return &bridge.RefusedError{ID: r.ID(), Node: r.Node, Err: err}
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case codeWrongSequence, codeWrongConstant:
			return &bridge.RefusedError{ID: r.ID(), Node: r.Node, Err: bridge.ErrFenced}
		case codeTooLarge:
			return &bridge.RefusedError{ID: r.ID(), Node: r.Node, Err: err}
		case codeStreamNotFound:
			b.forget()
		}
	}
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		b.forget()
	}
	return err
}
