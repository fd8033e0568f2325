package redisstream

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/apn/ami/bridge"
)

// PutState implements bridge.StateStore: the node's field of the hash gets the
// state as JSON. The errors are those of Publish.
func (b *Broker) PutState(ctx context.Context, s bridge.NodeState) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("redisstream: state of %s: %w", s.Node, err)
	}
	b.putting.Lock()
	defer b.putting.Unlock()
	ctx, release := b.bound(ctx)
	defer release()
	return b.call(ctx, &b.states, func(c *redis.Client) error {
		if err := c.HSet(ctx, b.o.states(), s.Node, data).Err(); err != nil {
			return verdict(b.o.states(), err)
		}
		return nil
	})
}
