package ami

import (
	"context"
	"errors"
)

// A lookup resolves the host name of one node. The supervisor owns it.
type lookup struct {
	resolver Resolver
	last     []string    // the addresses that were found last
	asked    chan answer // resolver → hosts, for a question still open; nil if none is
}

type answer struct {
	addrs []string
	err   error
}

// hosts asks the resolver, at every attempt, and falls back to what it said
// last: a resolver often fails together with the network that the node needs.
// One that ignores its context delays only its own node, and only until the
// context ends. It is not asked again before it has answered: each question is
// a goroutine that nobody can stop.
func (l *lookup) hosts(ctx context.Context, host string) ([]string, error) {
	select {
	case a := <-l.asked: // too late for the attempt that asked
		_ = l.take(a) // of no use to this one
	default:
	}
	if l.asked == nil {
		asked := make(chan answer, 1) // room for an answer that comes too late
		l.asked = asked
		go func() {
			addrs, err := l.resolver.LookupHost(ctx, host)
			asked <- answer{addrs, err}
		}()
	}
	var err error
	select {
	case a := <-l.asked:
		if err = l.take(a); err == nil && len(a.addrs) == 0 {
			err = errors.New("no address for " + host)
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && len(l.last) == 0 {
		return nil, err
	}
	return l.last, nil
}

// take keeps the answer to the open question.
func (l *lookup) take(a answer) error {
	l.asked = nil
	if a.err == nil && len(a.addrs) > 0 {
		l.last = a.addrs
	}
	return a.err
}
