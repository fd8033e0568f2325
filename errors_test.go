package ami_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// TestSafeToRetry: the outermost error of this library decides, whatever is below
// it (C5).
func TestSafeToRetry(t *testing.T) {
	unsent := &ami.ConnError{Op: "session", Err: io.EOF}
	sent := &ami.ConnError{Op: "session", Sent: true, Err: io.EOF}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                     {nil, false},
		"foreign":                 {io.EOF, false},
		"not sent":                {unsent, true},
		"sent":                    {sent, false},
		"wrapped":                 {fmt.Errorf("dialer: %w", unsent), true},
		"another's failure":       {&ami.TimeoutError{Sent: true, Err: unsent}, false},
		"why it is not ready":     {&ami.NotReadyError{Err: sent}, true},
		"no node":                 {&ami.NoNodeError{Err: sent}, true},
		"backpressure":            {&ami.BackpressureError{}, true},
		"refused":                 {&ami.ActionError{}, false},
		"invalid":                 {&action.InvalidError{}, true},
		"bad header":              {&frame.EncodeError{}, true},
		"bad strategy":            {&strategy.ValidationError{}, true},
		"joined, all safe":        {errors.Join(io.EOF, unsent, &ami.NotReadyError{}), true},
		"joined, one is not":      {errors.Join(unsent, sent), false},
		"joined, nothing of ours": {errors.Join(io.EOF), false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, ami.SafeToRetry(tc.err)) })
	}
}

// TestSafeToRetryAfterLoss: an action refused because the session was lost was
// not sent (C5, C6).
func TestSafeToRetryAfterLoss(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		c := dial(t, srv)
		srv.SetFaults(amitest.Faults{Refuse: true})
		srv.Sessions()[0].Kick()
		synctest.Wait()
		_, err := c.Send(t.Context(), action.Ping{})
		_, ok := errors.AsType[*ami.NotReadyError](err)
		require.True(t, ok)
		require.True(t, ami.SafeToRetry(err), "%v", err)
	})
}

// TestSafeToRetryCancelled: a context may end with the error of another action as
// its cause (C5).
func TestSafeToRetryCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		srv.Handle("Hold", func(*amitest.Call) {})
		c := dial(t, srv)
		ctx, cancel := context.WithCancelCause(t.Context()) // errgroup.WithContext does exactly this
		p := c.Start(ctx, action.Custom("Hold"))
		require.NoError(t, srv.WaitAction(t.Context(), "Hold", 1))
		cancel(&ami.ConnError{Node: "pbx2", Op: "session", Sent: false, Err: io.EOF}) // a sibling's failure
		_, err := p.Result()
		e, ok := errors.AsType[*ami.TimeoutError](err)
		require.True(t, ok)
		require.True(t, e.Sent)
		require.False(t, ami.SafeToRetry(err), "it was executed")
	})
}
