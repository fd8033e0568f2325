package ami_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/exported"
	"github.com/apn/ami/internal/setting"
	"github.com/apn/ami/strategy"
)

// An optionRow is how an option is tested at its bounds, beyond them, at zero and
// below: by TestOptionRanges, argument by argument, or by a test of its own.
type optionRow struct {
	ranges []setting.ID
	test   func(*testing.T)
}

var optionRows = map[string]optionRow{
	"WithDialTimeout":    {ranges: []setting.ID{setting.DialTimeout}},
	"WithLoginTimeout":   {ranges: []setting.ID{setting.LoginTimeout}},
	"WithWriteTimeout":   {ranges: []setting.ID{setting.WriteTimeout}},
	"WithReadIdle":       {ranges: []setting.ID{setting.ReadIdle}},
	"WithKeepalive":      {ranges: []setting.ID{setting.KeepaliveInterval, setting.KeepaliveTimeout}},
	"WithBackoff":        {ranges: []setting.ID{setting.BackoffBase, setting.BackoffLimit, setting.BackoffFloor}},
	"WithAuthBackoff":    {ranges: []setting.ID{setting.AuthBackoffBase, setting.AuthBackoffLimit}},
	"WithBreaker":        {ranges: []setting.ID{setting.BreakerFailures, setting.BreakerOpenFor, setting.BreakerProbes}},
	"WithStableAfter":    {ranges: []setting.ID{setting.StableAfter}},
	"WithActionLanes":    {ranges: []setting.ID{setting.ActionLanes}},
	"WithOutboundQueue":  {ranges: []setting.ID{setting.QueueEntries, setting.QueueBytes}},
	"WithPendingLimit":   {ranges: []setting.ID{setting.PendingLimit}},
	"WithActionTimeout":  {ranges: []setting.ID{setting.ActionTimeout}},
	"WithMalformedLimit": {ranges: []setting.ID{setting.MalformedLimit, setting.MalformedWindow}},
	"WithEventQueue":     {ranges: []setting.ID{setting.EventQueue}},
	"WithDropSummary":    {ranges: []setting.ID{setting.DropSummary}},
	"WithConnectLimit":   {ranges: []setting.ID{setting.ConnectLimit}},
	"WithLimits":         {ranges: []setting.ID{setting.LimitLine, setting.LimitHeaders, setting.LimitFrame, setting.LimitCommand, setting.LimitBuffer}},

	"WithWeights": {test: testWeights},
	"WithLogger": {test: func(t *testing.T) {
		refused(t, "Logger", nil, ami.WithLogger(nil))
		accepted(t, ami.WithLogger(slog.New(slog.DiscardHandler)))
	}},
	"WithObserver": {test: func(t *testing.T) {
		refused(t, "Observer", nil, ami.WithObserver(nil))
		accepted(t, ami.WithObserver(new(ends)))
	}},
	"WithRedaction": {test: func(t *testing.T) {
		refused(t, "Redaction.Names[1]", "a pattern", ami.WithRedaction(ami.Redaction{Names: []string{"a", "("}}))
		refused(t, "Redaction.Values[0]", "a pattern", ami.WithRedaction(ami.Redaction{Values: []string{"("}}))
		accepted(t, ami.WithRedaction(ami.Redaction{}), ami.WithRedaction(ami.Redaction{Headers: []string{""}}))
	}},
	"WithResolver":         {test: func(t *testing.T) { accepted(t, ami.WithResolver(nil)) }}, // the default
	"WithDialer":           {test: func(t *testing.T) { accepted(t, ami.WithDialer(nil)) }},
	"WithLiteralAddresses": {test: func(t *testing.T) { accepted(t, ami.WithLiteralAddresses()) }},
	"WithEventsOnDemand":   {test: func(t *testing.T) { accepted(t, ami.WithEventsOnDemand()) }},
	"WithRouter":           {test: func(t *testing.T) { accepted(t, ami.WithRouter(nil)) }},
	"WithDefaultNode": {test: func(t *testing.T) {
		accepted(t, ami.WithDefaultNode("")) // none
		refused(t, "DefaultNode", `"a"`, ami.WithDefaultNode("a"), ami.WithRouter(ami.RoundRobin()))
	}},

	"Named":     {test: func(t *testing.T) { delivered(t, 1, ami.Named()); delivered(t, 0, ami.Named("")) }},
	"FromNode":  {test: func(t *testing.T) { delivered(t, 1, ami.FromNode()); delivered(t, 0, ami.FromNode("")) }},
	"Where":     {test: func(t *testing.T) { delivered(t, 1, ami.Where(nil)) }},
	"Buffer":    {test: testBuffer},
	"BlockUpTo": {test: testBlockUpTo},
	"DropOldest": {test: func(t *testing.T) {
		require.Equal(t, numbers(2, 3), remaining(t, 3, ami.Buffer(2), ami.DropOldest()))
	}},
	"DropNewest": {test: func(t *testing.T) {
		require.Equal(t, numbers(1, 2), remaining(t, 3, ami.Buffer(2), ami.DropNewest()))
	}},

	"Timeout":     {test: testTimeout},
	"WaitForRoom": {test: func(t *testing.T) { require.NoError(t, sending(t, ami.WaitForRoom())) }},
	"AnsweredAs": {test: func(t *testing.T) {
		require.NoError(t, sending(t, ami.AnsweredAs(strategy.Strategy{})))
		_, ok := errors.AsType[*strategy.ValidationError](sending(t, ami.AnsweredAs(strategy.Strategy{Kind: 99})))
		require.True(t, ok)
	}},
	"To": {test: func(t *testing.T) {
		require.NoError(t, sending(t, ami.To("pbx1")))
		require.ErrorIs(t, sending(t, ami.To("")), ami.ErrNoNode)
	}},
	"ByKey": {test: func(t *testing.T) { require.NoError(t, sending(t, ami.ByKey(""))) }},
	"Among": {test: func(t *testing.T) { require.NoError(t, sending(t, ami.Among())) }},
}

// TestEveryOption: each option that the package exports has a row, and each number
// in it a range (D2, B2).
func TestEveryOption(t *testing.T) {
	p, err := exported.Read(".")
	require.NoError(t, err)
	require.Equal(t, slices.Sorted(maps.Keys(p.Options)), slices.Sorted(maps.Keys(optionRows)))
	inRanges := make(map[setting.ID]bool)
	for name, row := range optionRows {
		numbers := 0
		for _, param := range p.Options[name] {
			if param == "int" || param == "time.Duration" {
				numbers++
			}
		}
		if row.test == nil && name != "WithLimits" { // its numbers are fields
			require.Len(t, row.ranges, numbers, name)
		}
		for _, id := range row.ranges {
			inRanges[id] = true
		}
		if row.test != nil {
			t.Run(name, row.test)
		}
	}
	for i := range setting.Table { // all of which TestOptionRanges tries
		require.Equal(t, setting.Table[i].Number(), inRanges[setting.ID(i)], setting.Table[i].Option)
	}
}

var goodNode = []ami.Node{{Key: "a", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")}}

func accepted(t *testing.T, opts ...ami.Option) {
	t.Helper()
	cl, err := ami.NewCluster(goodNode, opts...)
	require.NoError(t, err)
	require.NoError(t, cl.Close())
}

// refused checks that options are refused with key and value.
func refused(t *testing.T, key string, value any, opts ...ami.Option) ami.ConfigError {
	t.Helper()
	_, err := ami.NewCluster(goodNode, opts...)
	e, ok := errors.AsType[*ami.ConfigError](err)
	require.True(t, ok, "%v", err)
	require.Same(t, e, err, "nothing else is wrong")
	require.Equal(t, key, e.Key)
	require.Equal(t, value, e.Value)
	return *e
}

func testWeights(t *testing.T) {
	for _, w := range []int{1, 2, 99, 100} {
		accepted(t, ami.WithWeights(map[string]int{"a": w}))
	}
	for _, w := range []int{0, -1, 101, math.MaxInt, math.MinInt} {
		e := refused(t, "Weights", w, ami.WithWeights(map[string]int{"a": w, "b": 1}))
		require.Equal(t, "a", e.Node)
		require.Equal(t, "must be 1 to 100", e.Reason)
	}
	accepted(t, ami.WithWeights(nil))
}

// remaining returns the numbers of the events that a subscription has after n of them.
func remaining(t *testing.T, n int, opts ...ami.SubOption) (got []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		t.Cleanup(srv.Close)
		c := dial(t, srv)
		sub := c.Subscribe(append([]ami.SubOption{ami.Where(func(e event.Event) bool { return e.Name() == "Test" })}, opts...)...)
		broadcast(srv, 1, n)
		got, _ = buffered(t, sub)
	})
	return got
}

// delivered checks how many events named Test a subscription gets of one.
func delivered(t *testing.T, want int, opts ...ami.SubOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		t.Cleanup(srv.Close)
		sub := dial(t, srv).Subscribe(opts...)
		broadcast(srv, 1, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // fake
		defer cancel()
		got := 0
		for e, err := range sub.All(ctx) {
			if err == nil && e.Name() == "Test" {
				got++
			}
		}
		require.Equal(t, want, got)
	})
}

// testBuffer: what is out of the range is set to the nearer bound.
func testBuffer(t *testing.T) {
	for _, tc := range []struct{ n, holds int }{{2, 2}, {3, 3}, {1, 2}, {0, 2}, {-1, 2}, {math.MinInt, 2}} {
		require.Len(t, remaining(t, 5, ami.Buffer(tc.n)), tc.holds, "%d", tc.n)
	}
	require.Equal(t, []int{1_000_000, 1_000_000, 1_000_000, 999_999}, ami.BuffersOf(1_000_000, 1_000_001, math.MaxInt, 999_999))
}

func testBlockUpTo(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		late int // events that are there after a minute
	}{{0, 2}, {-1, 2}, {math.MinInt64, 2}, {1, 2}, {time.Minute - 1, 2}, {time.Minute, 4}, {math.MaxInt64, 4}} {
		synctest.Test(t, func(t *testing.T) {
			srv := amitest.NewServer()
			t.Cleanup(srv.Close)
			sub := dial(t, srv).Subscribe(ami.Named("Test"), ami.Buffer(2), ami.BlockUpTo(tc.d))
			broadcast(srv, 1, 4)
			time.Sleep(time.Minute) // fake
			got, _ := buffered(t, sub)
			require.Equal(t, numbers(1, tc.late), got, "%v", tc.d)
			require.EqualValues(t, 4-tc.late, sub.Dropped())
		})
	}
}

// sending returns the error of a Ping.
func sending(t *testing.T, opts ...ami.SendOption) (err error) {
	t.Helper()
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		_, err = dial(t, srv).Send(t.Context(), action.Ping{}, opts...)
	})
	return err
}

// testTimeout: a value that is not positive is as if it were not there.
func testTimeout(t *testing.T) {
	const strategys, clients = 7 * time.Second, 11 * time.Second
	for _, tc := range []struct {
		d, own, took time.Duration
	}{
		{1, 0, 1},
		{1, strategys, 1},
		{time.Hour, 0, time.Hour},
		{time.Hour, strategys, time.Hour},
		{0, 0, clients},
		{-1, 0, clients},
		{math.MinInt64, 0, clients},
		{0, strategys, strategys},
		{-1, strategys, strategys},
		{math.MaxInt64, 0, 48 * time.Hour}, // the context's
	} {
		bubble(t, func(t *testing.T, srv *amitest.Server) {
			srv.Handle("Odd", func(*amitest.Call) {}) // no answer
			c := dial(t, srv, ami.WithActionTimeout(clients))
			ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
			defer cancel()
			start := time.Now()
			_, err := c.Send(ctx, action.Custom("Odd"), ami.AnsweredAs(strategy.Strategy{Timeout: tc.own}), ami.Timeout(tc.d))
			e, ok := errors.AsType[*ami.TimeoutError](err)
			require.True(t, ok, "%v", err)
			require.True(t, e.Timeout())
			require.Equal(t, tc.took, time.Since(start), "%v, %v", tc.d, tc.own)
		})
	}
}

// TestZeroLimits: a zero frame.Limits are the defaults.
func TestZeroLimits(t *testing.T) { accepted(t, ami.WithLimits(frame.Limits{})) }
