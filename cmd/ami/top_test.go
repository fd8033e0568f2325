package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// watchedNode runs a cluster of one node in memory under a watch, in a bubble, and
// returns a board and what has it look.
func watchedNode(t *testing.T, srv *amitest.Server) (b *board, look func() *row, w *topWatch) {
	t.Helper()
	node := ami.Node{Key: "pbx1", Addr: "192.0.2.1:5038", Username: "admin", Secret: ami.NewSecret("secret")}
	cluster, err := ami.NewCluster([]ami.Node{node}, ami.WithDialer(srv.DialContext), ami.WithBackoff(time.Second, time.Second, time.Second))
	require.NoError(t, err)
	w = newTopWatch(cluster)
	w.start(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cluster.Run(context.WithoutCancel(t.Context()))
	}()
	t.Cleanup(func() {
		w.close()
		_ = cluster.Close()
		<-ended
		srv.Close()
	})
	b = newBoard()
	return b, func() *row {
		synctest.Wait()
		b.take(w.sample(), time.Now())
		return b.rows[0]
	}, w
}

// asked counts how often a server was asked for something.
func asked(srv *amitest.Server, action string) (n int) {
	for _, e := range srv.Ledger() {
		if e.Action == action {
			n++
		}
	}
	return n
}

// TestTopRates: an even flow of events has its rate, whatever the interval, and
// fades when it ends.
func TestTopRates(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, time.Second, 7 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				b, look, _ := watchedNode(t, srv)
				look()
				time.Sleep(10 * time.Second)
				look()
				require.Zero(t, b.rows[0].names["UserEvent"])
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				flooded := make(chan struct{})
				go func() { defer close(flooded); _ = srv.Flood(ctx, 50, 1<<30) }()
				for began := time.Now(); time.Since(began) < 30*time.Second; {
					time.Sleep(interval)
					look()
				}
				require.InDelta(t, 50, b.rows[0].events.value, 0.6)
				require.InDelta(t, 50, b.rows[0].names["UserEvent"].value, 0.6)
				require.InDelta(t, 50, b.totals().events, 0.6)
				stop()
				<-flooded
				for began := time.Now(); time.Since(began) < 21*time.Second; {
					time.Sleep(interval)
					look()
				}
				require.InDelta(t, 0, b.rows[0].events.value, 0.1)
				require.Equal(t, "UserEvent", b.rows[0].busiest(10)[0].name)
			})
		})
	}
}

// TestTopAsks: version, latency, channels and privileges; and all of it afresh in
// the next session.
func TestTopAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		srv.SetFaults(amitest.Faults{AnswerDelay: 50 * time.Millisecond})
		srv.Handle("CoreShowChannels", func(c *amitest.Call) {
			c.ListStart("Channels will follow")
			for i := range 3 {
				c.Event("CoreShowChannel", amitest.F("Channel", "PJSIP/1"), amitest.F("Uniqueid", fmt.Sprint(i)))
			}
			c.ListComplete("CoreShowChannelsComplete", 3)
		}, amitest.ClassSystem|amitest.ClassReporting)
		showsUser(srv, "call", "system,command")
		b, look, w := watchedNode(t, srv)
		r := look()
		require.Equal(t, []any{-1, "", time.Duration(0)}, []any{r.channels, r.version, r.latency}, "nothing is known yet")
		time.Sleep(time.Second)
		r = look()
		require.Equal(t, []any{3, "22.10.1", 50 * time.Millisecond}, []any{r.channels, r.version, r.latency})
		require.Nil(t, r.privileges, "nobody looks")
		w.look("pbx1")
		time.Sleep(time.Second)
		require.Equal(t, &privileges{Read: []string{"call"}, Write: []string{"system", "command"}}, look().privileges)

		srv.Broadcast("Newchannel", amitest.ClassCall, amitest.F("Uniqueid", "7"))
		srv.Broadcast("Hangup", amitest.ClassCall, amitest.F("Uniqueid", "1"))
		srv.Broadcast("Hangup", amitest.ClassCall, amitest.F("Uniqueid", "2"))
		time.Sleep(time.Second)
		require.Equal(t, 2, look().channels)
		require.Equal(t, 1, asked(srv, "CoreShowChannels"))
		time.Sleep(listEvery)
		require.Equal(t, 3, look().channels, "the list is right")
		require.Equal(t, 2, asked(srv, "CoreShowChannels"))

		// A Ping that is not answered takes as long as it has waited.
		srv.SetFaults(amitest.Faults{AnswerDelay: time.Hour})
		srv.Session(1).SetFaults(amitest.Faults{AnswerDelay: time.Hour})
		time.Sleep(pingEvery + 3*time.Second)
		require.Greater(t, look().latency, time.Second)

		srv.SetFaults(amitest.Faults{})
		srv.Session(1).Reset()
		r = look()
		require.Equal(t, []any{-1, "22.10.1", time.Duration(0)}, []any{r.channels, r.version, r.latency})
		require.NotEmpty(t, r.reason())
		require.Zero(t, b.totals().ready)
		time.Sleep(3 * time.Second)
		r = look()
		require.Equal(t, 3, r.channels)
		require.Equal(t, 3, asked(srv, "CoreShowChannels"))
		require.Equal(t, uint64(2), r.stats.Epoch)
		require.Equal(t, uint64(1), r.reconnects())
		require.NotNil(t, r.gap)
		require.NotNil(t, r.privileges, "somebody has looked")
	})
}

// TestTopMayNotAsk: a dash, and no question twice.
func TestTopMayNotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Read: amitest.ClassAll, Write: amitest.ClassCall}))
		_, look, _ := watchedNode(t, srv)
		time.Sleep(3 * time.Minute)
		r := look()
		require.Equal(t, ami.Ready, r.stats.State)
		require.Equal(t, -1, r.channels)
		require.Empty(t, r.version)
		require.Equal(t, 1, asked(srv, "CoreShowChannels"))
		require.Equal(t, 1, asked(srv, "CoreSettings"))
	})
}

// TestTopLists channels again when events were lost, but not all the time.
func TestTopLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		_, look, w := watchedNode(t, srv)
		time.Sleep(time.Second)
		require.Zero(t, look().channels)
		for range 30 {
			lossy := made(t, "Cdr")
			lossy.Lost = 3
			if n := w.nodes["pbx1"]; n.tally.add(lossy) {
				n.doubt()
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, uint64(90), look().dropped())
		require.Equal(t, 4, asked(srv, "CoreShowChannels"), "at once, and every 10 s")
	})
}

// TestTopReport: one object for each node and interval.
func TestTopReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		a := &app{out: newOutput(&out, func(error) {})}
		a.out.json = true
		samples := []nodeSample{someNodes().byKey["pbx2"].nodeSample, someNodes().byKey["pbx10"].nodeSample}
		sample := func() []nodeSample {
			samples[0].stats.Events += 100
			samples[0].stats.EventsDropped += 2
			return samples
		}
		top := &topping{app: a, interval: time.Second}
		require.NoError(t, top.report(ctx, sample))
		golden(t, "top-json", out.String())
		for line := range strings.Lines(out.String()) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	})
}

// TestTopOnce: a table or objects after an interval, of nodes that are up and of
// one that is not.
func TestTopOnce(t *testing.T) {
	quiet, down := fake(t), dead(t)
	may := fake(t, amitest.WithVersion("9.0.0", "20.20.1"), amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Read: amitest.ClassCall, Write: amitest.ClassCall}))
	file := nodes(t, quiet, may, down)
	for _, tc := range []struct {
		name string
		args []string
	}{{"text", nil}, {"json", []string{"--json"}}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // it waits: the first questions must have been answered, and no other asked
			e := call(t, append([]string{"top", "-c", file, "--once", "--interval", "4s"}, tc.args...)...)
			require.Zero(t, e.code, e.errs)
			require.Empty(t, e.errs)
			golden(t, "top-once-"+tc.name, e.out, append(scrub,
				`"(time|since)":"[^"]*"`, `"$1":"TIME"`, `\d+\.\d\d ms`, "TIME", `(?m) (LATENCY|TIME|-) +(\d+|-|CHANS) `, " $1 $2 ",
				`"events_per_s":[\d.]+`, `"events_per_s":N`, ` \d+\.\d +0 `, " N 0 ", `EVENTS/S +`, "EVENTS/S ", `(disconnected|connecting) +\d+s`, "DOWN AGE", `"(disconnected|connecting)"`, `"DOWN"`,
				`ready +\d+s`, "ready AGE", ` +(SINCE|RECONN|N) `, " $1 ")...)
		})
	}
}

func TestTopOnceInterrupted(t *testing.T) {
	srv := fake(t)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var out, errs bytes.Buffer
	done := make(chan int)
	file := nodes(t, srv)
	go func() { done <- run(ctx, []string{"top", "-c", file, "--once", "--interval", "1h"}, &out, &errs) }()
	require.NoError(t, srv.WaitAction(within(t), "Ping", 1))
	cancel()
	require.Equal(t, exitInterrupted, <-done)
	require.Equal(t, "ami top: interrupted\n", errs.String())
	require.Empty(t, out.String())
}

// TestTopJSON runs until it is told to end.
func TestTopJSON(t *testing.T) {
	t.Parallel()
	srv := fake(t, amitest.WithCalls(100))
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	out, errs, done := watch(), watch(), make(chan int)
	file := nodes(t, srv)
	go func() { done <- run(ctx, []string{"top", "-c", file, "--json", "--interval", "100ms"}, out, errs) }()
	out.await(t, `"channels":`)
	srv.Drop()
	out.await(t, `"reason":`)
	require.NoError(t, srv.Start(0))
	out.await(t, `"reconnects":1,`)
	cancel()
	require.Zero(t, <-done, errs.String())
	require.Empty(t, errs.String())
}

func TestTopRefuses(t *testing.T) {
	file := write(t, "ami.yaml", twoNodes)
	for _, tc := range []struct{ name, args, says string }{
		{"no terminal", "", "there is no terminal to draw on: give --once for one table, or --json for objects"},
		{"too often", "--once --interval 99ms", "--interval must be 100ms to 1h"},
		{"too seldom", "--json --interval 61m", "--interval must be 100ms to 1h"},
		{"no time", "--json --interval fast", "invalid argument"},
		{"node", "--once --node pbx3", "did you mean pbx1?"},
		{"argument", "--once pbx1", "pbx1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"top", "-c", file}, strings.Fields(tc.args)...)...)
			require.Equal(t, exitUsage, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
			require.Empty(t, e.out)
		})
	}
}
