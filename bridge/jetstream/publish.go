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

// Publish implements bridge.Broker.
func (b *Broker) Publish(ctx context.Context, records []bridge.Record) (stored int, err error) {
	for len(records) > stored {
		n, err := b.some(ctx, records[stored:])
		if stored += n; err != nil {
			return stored, err
		}
	}
	return stored, nil
}

// some publishes the first of the records: as one batch if that works, else one by
// one, which tells what is wrong with which.
func (b *Broker) some(ctx context.Context, records []bridge.Record) (int, error) {
	limited, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	info, err := b.ensure(limited)
	if err != nil {
		return 0, err
	}
	n, most := 0, b.nc.MaxPayload()
	for n < min(len(records), batchMost) && int64(len(records[n].Payload)+headerMost) <= most {
		n++
	}
	if n > 1 && info.Config.AllowAtomicPublish {
		err := b.batch(limited, records[:n])
		if err == nil {
			return n, nil
		}
		api, ok := errors.AsType[*jetstream.APIError](err)
		if !ok || api.ErrorCode == codeStreamNotFound {
			b.forget()
			return 0, err
		}
	}
	for i := range max(n, 1) {
		if err := b.one(ctx, &records[i]); err != nil {
			return i, err
		}
	}
	return max(n, 1), nil
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

// batch publishes records as a whole. The error is an *APIError if the server
// refused them.
func (b *Broker) batch(ctx context.Context, records []bridge.Record) error {
	id := []string{nuid.Next()}
	fenced := make(map[string]uint64) // one of each token says it for all
	for i := range records {
		r := &records[i]
		m := b.message(r, fenced[r.Node] != r.Token)
		fenced[r.Node] = r.Token
		m.Header[headerBatch], m.Header[headerSequence] = id, []string{strconv.Itoa(i + 1)}
		if i < len(records)-1 {
			if err := b.nc.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		m.Header[headerCommit] = []string{"1"}
		reply, err := b.nc.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Batch string              `json:"batch"`
			Count int                 `json:"count"`
		}
		if err := json.Unmarshal(reply.Data, &ack); err != nil {
			return fmt.Errorf("jetstream: answer to a batch: %w", err)
		}
		if ack.Error != nil {
			return ack.Error
		}
		if ack.Count != len(records) {
			return fmt.Errorf("jetstream: %d of a batch of %d were stored", ack.Count, len(records))
		}
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
