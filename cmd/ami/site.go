package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/config"
)

// A site is the chosen nodes, connected for the length of one command.
type site struct {
	*ami.Cluster
	keys     []string
	attempts map[string]*attempt
	running  sync.WaitGroup
	stop     context.CancelFunc
}

// An attempt is the first one to log in to a node. A command does not wait for
// another.
type attempt struct {
	over chan struct{} // closed by end
	once sync.Once
	err  error // set before over is closed
}

func (a *attempt) end(err error) {
	a.once.Do(func() {
		a.err = err
		close(a.over)
	})
}

// connect begins to connect the nodes of c, and returns at once. events is the
// event mask of the login, "" for that of the configuration. before, if not nil, is
// called with the cluster before it runs. More options go before those of c. close
// ends it.
func connect(ctx context.Context, c *config.Config, events string, before func(*ami.Cluster), more ...ami.Option) (*site, error) {
	nodes := c.Nodes()
	s := &site{attempts: make(map[string]*attempt)}
	for i := range nodes {
		if events != "" {
			nodes[i].Events = events
		}
		s.keys = append(s.keys, nodes[i].Key)
		s.attempts[nodes[i].Key] = &attempt{over: make(chan struct{})}
	}
	var err error
	if s.Cluster, err = ami.NewCluster(nodes, append(more, c.Options()...)...); err != nil {
		return nil, err
	}
	if before != nil {
		before(s.Cluster)
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	changes := s.StateChanges(ctx) // before Run: none is missed
	s.running.Go(func() {
		for change := range changes {
			switch {
			case change.To == ami.Ready:
				s.attempts[change.Node].end(nil)
			case change.To == ami.Disconnected && change.Reason != nil:
				s.attempts[change.Node].end(change.Reason)
			}
		}
	})
	s.running.Go(func() { _ = s.Run(ctx) }) // nil: it runs once, until close
	return s, nil
}

// close logs off.
func (s *site) close() {
	ctx, cancel := context.WithTimeout(context.Background(), logoffPatience)
	defer cancel()
	_ = s.Shutdown(ctx) // what was asked has been answered or given up
	s.stop()
	s.running.Wait()
}

// up waits until a node is logged in. It returns the error of the first attempt.
func (s *site) up(ctx context.Context, key string) (*ami.Client, error) {
	a := s.attempts[key]
	select {
	case <-a.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w, still %s", context.Cause(ctx), s.States()[key])
	}
	c, _ := s.Node(key)
	return c, a.err
}

// An answer is what became of one node's part in a command.
type answer[R any] struct {
	node  string
	value R
	err   error
}

// each does something with every node at the same time and yields what became of
// it, as it comes.
func each[R any](ctx context.Context, s *site, do func(context.Context, *ami.Client) (R, error)) iter.Seq[answer[R]] {
	return func(yield func(answer[R]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		answers := make(chan answer[R], len(s.keys))
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for _, key := range s.keys {
			all.Go(func() {
				c, err := s.up(ctx, key)
				a := answer[R]{node: key, err: err}
				if err == nil {
					a.value, a.err = do(ctx, c)
				}
				answers <- a
			})
		}
		for range s.keys {
			if !yield(<-answers) {
				return
			}
		}
	}
}

// errLate is why a context with the time of --timeout has ended.
var errLate = errors.New("the time of --timeout is up")

// limited bounds ctx, if there is a bound.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, errLate)
}
