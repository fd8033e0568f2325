package ami_test

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/setting"
)

// option sets one argument of an option, and those beside it so that they do not
// contradict it.
func option(id setting.ID, v int64) []ami.Option {
	d, n := time.Duration(v), int(v)
	const ms, day = time.Millisecond, 24 * time.Hour
	return map[setting.ID][]ami.Option{
		setting.DialTimeout:       {ami.WithDialTimeout(d)},
		setting.LoginTimeout:      {ami.WithLoginTimeout(d)},
		setting.WriteTimeout:      {ami.WithWriteTimeout(d)},
		setting.ReadIdle:          {ami.WithReadIdle(d), ami.WithKeepalive(min(max(d/2, time.Second), time.Hour), time.Second)},
		setting.KeepaliveInterval: {ami.WithKeepalive(d, time.Second), ami.WithReadIdle(day)},
		setting.KeepaliveTimeout:  {ami.WithKeepalive(30*time.Second, d)},
		setting.BackoffBase:       {ami.WithBackoff(d, time.Hour, ms)},
		setting.BackoffLimit:      {ami.WithBackoff(ms, d, ms)},
		setting.BackoffFloor:      {ami.WithBackoff(time.Hour, time.Hour, d)},
		setting.AuthBackoffBase:   {ami.WithAuthBackoff(d, day)},
		setting.AuthBackoffLimit:  {ami.WithAuthBackoff(ms, d)},
		setting.BreakerFailures:   {ami.WithBreaker(n, time.Second, 1)},
		setting.BreakerOpenFor:    {ami.WithBreaker(5, d, 1)},
		setting.BreakerProbes:     {ami.WithBreaker(5, time.Second, n)},
		setting.StableAfter:       {ami.WithStableAfter(d)},
		setting.ActionLanes:       {ami.WithActionLanes(n)},
		setting.QueueEntries:      {ami.WithOutboundQueue(n, 1<<20)},
		setting.QueueBytes:        {ami.WithOutboundQueue(256, n)},
		setting.PendingLimit:      {ami.WithPendingLimit(n)},
		setting.ActionTimeout:     {ami.WithActionTimeout(d)},
		setting.MalformedLimit:    {ami.WithMalformedLimit(n, time.Minute)},
		setting.MalformedWindow:   {ami.WithMalformedLimit(10, d)},
		setting.EventQueue:        {ami.WithEventQueue(n)},
		setting.DropSummary:       {ami.WithDropSummary(d)},
		setting.ConnectLimit:      {ami.WithConnectLimit(n)},
		setting.LimitLine:         {ami.WithLimits(frame.Limits{Line: n, Frame: 4 << 20})},
		setting.LimitHeaders:      {ami.WithLimits(frame.Limits{Headers: n})},
		setting.LimitFrame:        {ami.WithLimits(frame.Limits{Frame: n})},
		setting.LimitCommand:      {ami.WithLimits(frame.Limits{Command: n})},
		setting.LimitBuffer:       {ami.WithLimits(frame.Limits{Buffer: n, Frame: 64 << 10})},
	}[id]
}

// lowest is the least that an option can be beside the others.
func lowest(id setting.ID) int64 {
	if id == setting.ReadIdle {
		return setting.Table[id].Min + 1
	}
	return setting.Table[id].Min
}

// TestOptionRanges: the bounds of each option are allowed, what is beyond them is
// refused with key and value (D2, B2).
func TestOptionRanges(t *testing.T) {
	good := []ami.Node{{Key: "a", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")}}
	for i := range setting.Table {
		id, s := setting.ID(i), &setting.Table[i]
		if !s.Number() {
			continue
		}
		t.Run(s.Option, func(t *testing.T) {
			if id == setting.ReadIdle { // which is above the shortest keepalive interval
				require.Error(t, ami.Check(good, option(id, s.Min)...))
			}
			isLimit := id >= setting.LimitLine && id <= setting.LimitBuffer
			for _, v := range []int64{s.Min - 1, lowest(id), s.Default, s.Max, s.Max + 1, 0, -1} {
				o := option(id, v)
				require.NotNil(t, o, "every option is tested")
				err := ami.Check(good, o...)
				_, other := ami.NewCluster(good, o...)
				require.Equal(t, err, other, "both check the same")
				if s.Takes(v) || v == 0 && isLimit { // there it means the default
					require.NoError(t, err, "%s", s.Show(v))
					continue
				}
				e, ok := errors.AsType[*ami.ConfigError](err)
				require.True(t, ok, "%s: %v", s.Show(v), err)
				require.Equal(t, s.Option, e.Key)
				require.EqualValues(t, v, e.Value)
				require.Same(t, e, err, "nothing else is wrong")
				require.Contains(t, e.Error(), s.Option)
				if !isLimit {
					require.Equal(t, "must be "+s.Range(), e.Reason)
				}
			}
		})
	}
}

// keys returns what each of the joined errors is about.
func keys(t *testing.T, err error) []string {
	t.Helper()
	many, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "%v", err)
	var found []string
	for _, err := range many.Unwrap() {
		e, ok := err.(*ami.ConfigError) //nolint:errorlint // each is one itself
		require.True(t, ok, "%v", err)
		found = append(found, e.Node+" "+e.Key)
	}
	return found
}

// TestAllErrorsAtOnce: nobody corrects one setting after the other.
func TestAllErrorsAtOnce(t *testing.T) { // D2
	nodes := []ami.Node{
		{Key: "a", Addr: "h:0", Username: "", Secret: ami.NewSecret("s\n"), Events: "a b", Auth: 7, TLS: &tls.Config{MinVersion: tls.VersionTLS10}},
		{Addr: "h"},
		{Key: "c", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")},
		{Key: "c", Addr: "192.0.2.2", Username: "u", Secret: ami.NewSecret("s"), SecretFunc: ami.SecretFile("x"), TLS: &tls.Config{MinVersion: tls.VersionTLS12}, TLSFunc: ami.TLSFiles{}.Config},
	}
	opts := []ami.Option{
		ami.WithDialTimeout(0), ami.WithEventQueue(-1), ami.WithLogger(nil), ami.WithReadIdle(20 * time.Second),
		ami.WithBackoff(time.Minute, time.Second, time.Hour), ami.WithAuthBackoff(time.Hour, time.Minute),
		ami.WithLimits(frame.Limits{Frame: 1, Headers: 1, Line: 1, Command: 1, Buffer: 1}),
		ami.WithRedaction(ami.Redaction{Names: []string{"("}}),
		ami.WithWeights(map[string]int{"a": 0, "b": 1000}), ami.WithDefaultNode("a"), ami.WithRouter(ami.RoundRobin()),
	}
	want := []string{
		" DialTimeout", " EventQueue",
		" Backoff floor", " Backoff base", " AuthBackoff base", " ReadIdle",
		"a Weights", "b Weights", " Logger", " Redaction.Names[0]",
		" Limits.Frame", " Limits.Line", " Limits.Headers", " Limits.Command", " Limits.Buffer", " DefaultNode",
	}
	err := ami.Check(nodes, opts...)
	require.Equal(t, append(slices.Clone(want),
		"a Node.Addr", "a Node.Username", "a Node.Secret", "a Node.Events", "a Node.Auth", "a Node.TLS.MinVersion",
		" Node.Key", " Node.Username", " Node.Secret",
		"c Node.SecretFunc", "c Node.TLSFunc", "c Node.Key"), keys(t, err))
	require.ErrorContains(t, err, "node 2 of the list: Node.Key")
	require.ErrorContains(t, err, "ReadIdle = 20s: must be above Keepalive interval = 30s, or a quiet node is taken for a dead one")
	_, other := ami.NewCluster(nodes, opts...)
	require.EqualError(t, other, err.Error())

	_, err = ami.New(nodes[0], opts...)
	require.Equal(t, append(want, " Weights", " DefaultNode", " Router",
		"a Node.Addr", "a Node.Username", "a Node.Secret", "a Node.Events", "a Node.Auth", "a Node.TLS.MinVersion"), keys(t, err))
	var one *ami.ConfigError
	require.ErrorAs(t, err, &one)
	require.Equal(t, "DialTimeout", one.Key)

	cl, err := ami.NewCluster(nodes[2:3])
	require.NoError(t, err)
	require.NoError(t, ami.Check(nodes[2:3]))
	require.Equal(t, []string{"a Node.Addr", "a Node.Username", "a Node.Secret", "a Node.Events", "a Node.Auth", "a Node.TLS.MinVersion"}, keys(t, cl.Add(nodes[0])))
	require.NoError(t, cl.Close())
}
