package ami

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// A lookup resolves the host name of one node, for all of its lanes.
type lookup struct {
	resolver Resolver

	mu   sync.Mutex
	last []string  // the addresses that were found last
	open *question // nil if none is
}

// A question is one call of the resolver. Its outcome may be read when done is
// closed.
type question struct {
	done chan struct{}
	err  error
}

// hosts asks the resolver, at every attempt, and falls back to what it said
// last: a resolver often fails together with the network that the node needs.
// One that ignores its context delays only its own node, and only until the
// context ends. It is not asked again before it has answered: each question is
// a goroutine that nobody can stop. Who comes meanwhile waits for that answer.
// There may be both addresses and an error, which is why they are the last ones.
func (l *lookup) hosts(ctx context.Context, host string) ([]string, error) {
	q := l.ask(ctx, host)
	var err error
	select {
	case <-q.done:
		err = q.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, err
}

// ask returns the open question, a new one if there is none.
func (l *lookup) ask(ctx context.Context, host string) *question {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open
	}
	q := &question{done: make(chan struct{})}
	l.open = q
	go func() {
		var addrs []string
		err := errEnded // unless it returns
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.open, q.err = nil, err; err == nil {
				l.last = addrs
			}
			close(q.done)
		}()
		addrs, err = guarded(func() ([]string, error) { return l.resolver.LookupHost(ctx, host) })
		if addrs = usable(addrs); err == nil && len(addrs) == 0 {
			err = errors.New("no address for " + host)
		}
	}()
	return q
}

// usable returns what of an answer is an IP address, as a copy.
func usable(answer []string) (addrs []string) {
	for _, a := range answer {
		if _, err := netip.ParseAddr(a); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
