package ami

import (
	"context"
	"sync"
	"time"

	"github.com/apn/ami/action"
)

// Shutdown ends the client gracefully: it takes no more actions, waits for the
// answers to those that are pending, logs off, lets the receivers of
// subscriptions take what is buffered (for 5 s at most: nobody may be there),
// and closes, all until ctx ends. It returns the cause of ctx if that cut the
// answers short; everything has ended in any case. It may be called together
// with Close and again.
func (c *Client) Shutdown(ctx context.Context) error {
	err := c.quiesce(ctx)
	grace, cancel := context.WithTimeout(ctx, graceMost)
	defer cancel()
	c.setGrace(grace.Done())
	c.close()
	return err
}

// quiesce brings the client to the point where closing it loses nothing.
func (c *Client) quiesce(ctx context.Context) error {
	c.draining.Store(true)
	err := c.drain(ctx)
	if err != nil {
		return err
	}
	var leaving sync.WaitGroup
	for _, l := range append([]*lane{&c.main}, c.lanes...) {
		if s := l.session.Load(); s != nil {
			leaving.Go(func() { c.logoff(ctx, s) })
		}
	}
	leaving.Wait()
	return nil
}

func (c *Client) setGrace(grace <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grace = grace
}

// graceMost bounds the wait for receivers that may have left.
const graceMost = 5 * time.Second

// logoff says good-bye. Its failure changes nothing: the session ends anyway.
func (c *Client) logoff(ctx context.Context, s *session) {
	a := action.Logoff{}
	p := c.table.New(a.Strategy())
	p.Epoch = s.epoch
	out, err := encode(a, p.ID, false)
	if p.Bytes = out; err != nil || s.lane.table.Add(p) != nil {
		return
	}
	defer c.table.Abandon(p, ErrClosed)
	s.leaving.Store(true)
	if s.conn.EnqueueWait(ctx, &p.Out, p.Done()) != nil {
		return
	}
	select {
	case <-p.Done():
	case <-s.conn.Done():
	case <-ctx.Done():
	}
}

// drain waits until no action is pending.
func (c *Client) drain(ctx context.Context) error {
	for c.table.Len() > 0 {
		idle := c.table.Idle()
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
