package redisstream

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/apn/ami/bridge"
)

// How much goes to the server at a time. It does nothing else meanwhile.
const (
	batchRecords = 512
	batchBytes   = 1 << 20
)

// holdsKept is how many holds the server knows the last record of. What is offered
// again is what was offered last, at most 4,000 records of the bridge: a hold that
// as many as these have followed is not among them.
const holdsKept = 10_000

// Publish implements bridge.Broker. It sends batches of 512 records or 1 MiB, each
// of which the server stores as a whole, and which it confirms before the next one
// is sent. A record whose seq is not beyond the last one of its node and instance
// is a duplicate: it counts as stored.
//
// A *bridge.RefusedError is about a record that is larger than Options.MaxRecord,
// or has no seq, as a takeover: there is no fence. Any other error, as ErrFull,
// *DeniedError, *KeyError or one of the network, leaves the rest to be published
// again, over a new connection.
func (b *Broker) Publish(ctx context.Context, records []bridge.Record) (stored int, err error) {
	b.publishing.Lock()
	defer b.publishing.Unlock()
	ctx, release := b.bound(ctx)
	defer release()
	for stored < len(records) && err == nil {
		n := b.o.fit(records[stored:])
		if n == 0 {
			b.counts.refused.Add(1)
			r := &records[stored]
			return stored, &bridge.RefusedError{ID: r.ID(), Node: r.Node, Err: b.o.refusal(r)}
		}
		n, err = b.store(ctx, records[stored:stored+n])
		stored += n
	}
	return stored, err
}

// fit returns how many of the records are a batch: those before the first that is
// refused.
func (o *Options) fit(records []bridge.Record) (n int) {
	size := 0
	for n < min(len(records), batchRecords) && (n == 0 || size < batchBytes) && o.refusal(&records[n]) == nil {
		size += len(records[n].Payload)
		n++
	}
	return n
}

// refusal tells why a record will never be stored.
func (o *Options) refusal(r *bridge.Record) error {
	switch {
	case len(r.Payload) > o.MaxRecord:
		return &TooLargeError{Bytes: len(r.Payload), Max: o.MaxRecord}
	case r.Seq == 0:
		return errors.New("redisstream: it has no seq")
	}
	return nil
}

// store stores a batch. Without records it makes sure that the server takes
// writes. The caller holds publishing.
func (b *Broker) store(ctx context.Context, records []bridge.Record) (stored int, err error) {
	b.batch.fill(&b.o, records)
	err = b.call(ctx, &b.records, func(c *redis.Client) error {
		a, err := parse(script.Run(ctx, c, b.batch.keys, b.batch.args...), len(records))
		if err != nil {
			return verdict(b.o.last(), err)
		}
		stored = int(max(a.stored, 0))
		b.counts.published.Add(uint64(stored))
		b.counts.duplicates.Add(uint64(a.duplicates))
		switch {
		case a.why == "":
			return nil
		case a.stored < 0:
			return verdict(b.o.last(), a.why)
		}
		return verdict(b.o.stream(records[stored].Node), a.why)
	})
	return stored, err
}
