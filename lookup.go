package ami

import (
	"context"
	"errors"
)

// A lookup resolves the host name of one node. The supervisor owns it.
type lookup struct {
	resolver Resolver
	last     []string      // the addresses that were found last
	running  chan resolved // of a lookup that has outlived its context; nil if none
}

type resolved struct {
	addrs []string
	err   error
}

// hosts asks the resolver, at every attempt, and falls back to what it said
// last: a resolver often fails together with the network that the node needs.
// One that ignores its context is left behind, once: until it returns it is not
// asked again.
func (l *lookup) hosts(ctx context.Context, host string) ([]string, error) {
	var a resolved
	if l.running == nil {
		a = l.ask(ctx, host)
	} else if a = l.await(ctx); a.err != nil && ctx.Err() == nil {
		a = l.ask(ctx, host) // it failed because its own context had ended
	}
	if a.err == nil && len(a.addrs) == 0 {
		a.err = errors.New("no address for " + host)
	}
	if a.err == nil {
		l.last = a.addrs
	} else if len(l.last) == 0 {
		return nil, a.err
	}
	return l.last, nil
}

func (l *lookup) ask(ctx context.Context, host string) resolved {
	got := make(chan resolved, 1) // room for an answer that comes too late
	l.running = got
	go func() {
		addrs, err := l.resolver.LookupHost(ctx, host)
		got <- resolved{addrs, err}
	}()
	return l.await(ctx)
}

func (l *lookup) await(ctx context.Context) resolved {
	select {
	case a := <-l.running:
		l.running = nil
		return a
	case <-ctx.Done():
		return resolved{err: ctx.Err()}
	}
}
