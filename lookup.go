package ami

import (
	"context"
	"errors"
)

// A lookup resolves the host name of one node. The supervisor owns it.
type lookup struct {
	resolver Resolver
	last     []string // the addresses that were found last
}

// hosts asks the resolver, at every attempt, and falls back to what it said
// last: a resolver often fails together with the network that the node needs.
// A resolver that ignores its context is left behind, so that it delays only
// its own node, and only until the context ends.
func (l *lookup) hosts(ctx context.Context, host string) ([]string, error) {
	type answer struct {
		addrs []string
		err   error
	}
	got := make(chan answer, 1) // room for an answer that comes too late
	go func() {
		addrs, err := l.resolver.LookupHost(ctx, host)
		got <- answer{addrs, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	if a.err == nil && len(a.addrs) == 0 {
		a.err = errors.New("no address for " + host)
	}
	if a.err == nil {
		l.last = a.addrs
		return a.addrs, nil
	}
	if len(l.last) > 0 && ctx.Err() == nil {
		return l.last, nil
	}
	return nil, a.err
}
