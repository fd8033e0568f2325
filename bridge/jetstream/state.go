package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge"
)

// Bucket is the name of the key-value bucket that has the states.
func (b *Broker) Bucket() string { return b.o.Stream + "_STATES" }

// PutState implements bridge.StateStore: the node's key in the bucket gets the
// state as JSON. The bucket is made when it is not there, with the latest value of
// each key alone and as many replicas as the stream.
func (b *Broker) PutState(ctx context.Context, s bridge.NodeState) error {
	b.controlling.Lock()
	defer b.controlling.Unlock()
	ctx, release := b.bound(ctx)
	defer release()
	l, err := b.forControl(ctx)
	if err != nil {
		return err
	}
	err = l.call(ctx, b.o.AckTimeout, func(ctx context.Context) error {
		if b.states == nil {
			if b.states, err = b.bucket(ctx, l); err != nil {
				return err
			}
		}
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		_, err = b.states.Put(ctx, nodeToken(s.Node), data)
		return err
	})
	if err != nil {
		b.states = nil // it may have been deleted
		return fmt.Errorf("jetstream: state of %s in %s: %w", s.Node, b.Bucket(), err)
	}
	return nil
}

func (b *Broker) bucket(ctx context.Context, l *link) (js.KeyValue, error) {
	kv, err := l.js.KeyValue(ctx, b.Bucket())
	if !errors.Is(err, js.ErrBucketNotFound) {
		return kv, err
	}
	kv, err = l.js.CreateKeyValue(ctx, js.KeyValueConfig{
		Bucket:      b.Bucket(),
		Description: "Latest states of Asterisk servers",
		History:     1,
		Storage:     js.FileStorage,
		Replicas:    l.replicas,
	})
	if errors.Is(err, js.ErrBucketExists) { // another has been faster
		return l.js.KeyValue(ctx, b.Bucket())
	}
	return kv, err
}
