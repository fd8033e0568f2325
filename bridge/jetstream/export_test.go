package jetstream

import "context"

// ProveFence makes sure that the server compares with the takeover.
func (b *Broker) ProveFence(ctx context.Context, node string, token uint64) error {
	b.controlling.Lock()
	defer b.controlling.Unlock()
	l, err := b.forControl(ctx)
	if err != nil {
		return err
	}
	return b.proveFence(ctx, l, node, token)
}
