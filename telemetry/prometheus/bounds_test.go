package amiprom_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	amiprom "github.com/apn/ami/telemetry/prometheus"
)

func registered(t *testing.T, c *amiprom.Collector) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	return registry
}

func node(key string, srv *amitest.Server) ami.Node {
	return ami.Node{Key: key, Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}
}

// TestCardinality: whatever is sent, the series stay the same (G4).
func TestCardinality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithoutLedger())
		defer srv.Close()
		c := amiprom.NewCollector()
		client, err := ami.Dial(t.Context(), node("pbx1", srv), ami.WithDialer(srv.DialContext), ami.WithObserver(c))
		require.NoError(t, err)
		defer client.Close()
		c.WatchClient(client)
		registry := registered(t, c)
		send := func(i int) {
			var err error
			switch i % 3 {
			case 0:
				_, err = client.Send(t.Context(), action.Setvar{Variable: fmt.Sprint("V", i), Value: fmt.Sprint(i)})
			case 1:
				_, err = client.Send(t.Context(), action.New([]string{"ping", "PING", "Ping", "pINg"}[i%4]))
			case 2:
				_, unknown := client.Send(t.Context(), action.Custom(fmt.Sprint("Unknown", i), fmt.Sprint("Header", i), "x"))
				require.ErrorIs(t, unknown, ami.ErrUnknownAction)
			}
			require.NoError(t, err)
		}
		for i := range 3 {
			send(i)
		}
		before, _ := scrape(t, registry)
		for i := range 9_999 { // each with an ActionID of its own
			send(i)
		}
		for i := range 10_000 {
			c.ActionEnded(t.Context(), ami.ActionEnd{
				Node: "pbx1", Action: fmt.Sprint("Odd", i), ActionID: fmt.Sprint(i),
				Err: &ami.ActionError{Action: fmt.Sprint("Odd", i), Message: fmt.Sprint("No ", i)},
			})
		}
		after, series := scrape(t, registry)
		require.Equal(t, names(before), names(after))
		require.InDelta(t, 1+3_333, series["ami_action_duration_seconds{action=Ping outcome=ok}"], 0)
		require.InDelta(t, 1+3_333+10_000, series["ami_action_duration_seconds{action=other outcome=error}"], 0)
	})
}

// names returns the lines without their values.
func names(text string) (list []string) {
	for line := range strings.Lines(text) {
		list = append(list, line[:strings.LastIndexByte(line, ' ')])
	}
	return list
}

// nodesIn returns the nodes that any series names.
func nodesIn(series map[string]float64) []string {
	found := map[string]bool{}
	for name := range series {
		if _, rest, ok := strings.Cut(name, "node="); ok {
			found[strings.TrimRight(strings.Fields(rest)[0], "}")] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestMembership: a node has series as long as it is one of the cluster; one that
// comes back begins at 0.
func TestMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		c := amiprom.NewCollector()
		registry := registered(t, c)
		_, series := scrape(t, registry)
		require.Empty(t, series, "nothing is watched")

		cl, err := ami.NewCluster([]ami.Node{node("pbx1", srv), node("pbx2", srv)}, ami.WithDialer(srv.DialContext), ami.WithObserver(c))
		require.NoError(t, err)
		c.WatchCluster(cl)
		done := make(chan error, 1)
		go func() { done <- cl.Run(context.WithoutCancel(t.Context())) }()
		require.NoError(t, cl.Ready(t.Context(), 0))
		ping := func(n float64) {
			_, err := cl.Send(t.Context(), action.Ping{}, ami.To("pbx2"))
			require.NoError(t, err)
			_, series := scrape(t, registry)
			require.Equal(t, []string{"pbx1", "pbx2"}, nodesIn(series))
			require.InDelta(t, n, series["ami_actions_ended_total{node=pbx2 outcome=ok}"], 0)
		}
		ping(1)
		ping(2)
		require.NoError(t, cl.Remove(t.Context(), "pbx2"))
		_, series = scrape(t, registry)
		require.Equal(t, []string{"pbx1"}, nodesIn(series))
		require.NoError(t, cl.Add(node("pbx2", srv)))
		require.NoError(t, cl.Ready(t.Context(), 0))
		ping(1)

		require.NoError(t, cl.Close())
		require.NoError(t, <-done)
		_, series = scrape(t, registry)
		require.Equal(t, []string{"pbx1", "pbx2"}, nodesIn(series), "a cluster that has ended can still be read")
	})
}

// TestScrapeWhileNodesChange: no scrape fails, and none shows a node that never
// was. Run with -race.
func TestScrapeWhileNodesChange(t *testing.T) {
	srv := amitest.NewServer(amitest.WithoutLedger())
	defer srv.Close()
	c := amiprom.NewCollector()
	cl, err := ami.NewCluster([]ami.Node{node("pbx0", srv)}, ami.WithDialer(srv.DialContext), ami.WithObserver(c))
	require.NoError(t, err)
	c.WatchCluster(cl)
	registry := registered(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all, changing sync.WaitGroup
	all.Go(func() { _ = cl.Run(context.WithoutCancel(ctx)) }) // nil: Close ends it
	require.NoError(t, cl.Ready(ctx, 1))
	// Not left to the goroutine below: the changes may end before its first answer.
	_, err = cl.Send(ctx, action.Ping{}, ami.To("pbx0"))
	require.NoError(t, err)

	stop := make(chan struct{})
	for i := range 2 {
		key := fmt.Sprint("pbx", i+1)
		changing.Go(func() {
			for range 40 {
				if err := cl.Add(node(key, srv)); err != nil {
					t.Error(err)
					return
				}
				_, _ = cl.Send(ctx, action.Ping{}, ami.To(key)) // it may not be up yet
				if err := cl.Remove(ctx, key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = cl.Send(ctx, action.Ping{}) // of whichever node
			}
		}
	})
	ended := make(chan struct{})
	all.Go(func() { changing.Wait(); close(ended) })
	var last float64
	for scrapes := 0; ; scrapes++ {
		families, err := registry.Gather()
		require.NoError(t, err)
		require.NotEmpty(t, families)
		_, series := scrape(t, registry)
		require.Subset(t, []string{"pbx0", "pbx1", "pbx2"}, nodesIn(series))
		now := series["ami_actions_ended_total{node=pbx0 outcome=ok}"]
		require.GreaterOrEqual(t, now, last, "a node that stays counts on")
		last = now
		select {
		case <-ended:
		default:
			continue
		}
		break
	}
	close(stop)
	require.NoError(t, cl.Close())
	all.Wait()
	require.Positive(t, last)
}
