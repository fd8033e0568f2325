package ami_test

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// floodRate is how many events a second each session with events gets from the
// process that floodServer starts.
var floodRate atomic.Int64

// floodEvent is 460 bytes long, the mean of what we have seen.
var floodEvent = []byte("Event: VarSet\r\nPrivilege: dialplan,all\r\n" +
	"Channel: PJSIP/2001-0000001f\r\nChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 2001\r\n" +
	"CallerIDName: Alice Example\r\nConnectedLineNum: 2002\r\nConnectedLineName: Bob Example\r\nLanguage: en\r\n" +
	"AccountCode: \r\nContext: default\r\nExten: 2002\r\nPriority: 3\r\nUniqueid: pbx1-1795419831.134\r\n" +
	"Linkedid: pbx1-1795419831.134\r\nVariable: FLOOD\r\nValue: the quick brown fox jumps over the lazy dog and home\r\n\r\n")

// floodAndAnswer is a session as Asterisk has it: what an action is answered comes
// behind the events that are queued. The action Flood sets floodRate.
func floodAndAnswer(conn net.Conn) {
	defer conn.Close()
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(conn)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	const tick = time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	out := []byte("Asterisk Call Manager/11.0.0\r\n")
	var id string
	var owed time.Duration // of the flood, since it was last looked at
	events, last := false, time.Now()
	for {
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
		var line string
		select {
		case text, ok := <-lines:
			if !ok {
				return
			}
			line = text
		case <-ticker.C:
		}
		now := time.Now()
		if rate := time.Duration(floodRate.Load()); events && rate > 0 {
			owed += now.Sub(last)
			for each := time.Second / rate; owed >= each; owed -= each {
				out = append(out, floodEvent...)
			}
		}
		last = now
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "ActionID":
			id = value
		case "Events":
			events = value != "off"
		case "Rate":
			var rate int64
			_, _ = fmt.Sscan(value, &rate)
			floodRate.Store(rate)
		}
		if line == "" && id != "" {
			out = append(out, "Response: Success\r\nActionID: "+id+"\r\nPing: Pong\r\nTimestamp: 1795419656.589808\r\n\r\n"...)
			id = ""
		}
	}
}

// BenchmarkPingInFlood sends Pings over loopback while the node sends 50,000
// events a second, 23 MB/s, and while it is quiet. "x-quiet" is the ratio of the
// 99th percentiles. The events come evenly and the client keeps up, so that hardly
// any wait in the server: what a lane saves behind a backlog is as long as that,
// see TestPingInFlood; this is what the client itself adds.
func BenchmarkPingInFlood(b *testing.B) {
	for _, lanes := range []int{0, 1} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			c, err := ami.Dial(b.Context(), ami.Node{Key: "pbx1", Addr: testServer(b, floodMode), Username: "u", Secret: ami.NewSecret("s")},
				ami.WithActionLanes(lanes))
			require.NoError(b, err)
			defer c.Close()
			sub := c.Subscribe()
			go func() {
				for range sub.C() { // until Close
				}
			}()
			const turn = 500
			var quiet, flooded []time.Duration
			measure := func(took []time.Duration, rate int) []time.Duration {
				_, err := c.Send(b.Context(), action.Custom("Flood", "Rate", fmt.Sprint(rate)))
				require.NoError(b, err)
				// The session of the events answers this, behind what it has queued.
				_, err = c.Send(b.Context(), action.New("Events", "EventMask", "on"))
				require.NoError(b, err)
				for range turn {
					start := time.Now()
					if _, err := c.Send(b.Context(), action.Ping{}); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(start))
					time.Sleep(100 * time.Microsecond) // a client that asks now and then
				}
				return took
			}
			var events uint64
			var flooding time.Duration
			for b.Loop() {
				quiet = measure(quiet, 0)
				before, start := c.Stats().Events, time.Now()
				flooded = measure(flooded, 50_000)
				events += c.Stats().Events - before
				flooding += time.Since(start)
			}
			p := func(took []time.Duration, percent int) float64 {
				slices.Sort(took)
				return float64(took[len(took)*percent/100])
			}
			b.ReportMetric(float64(events)/flooding.Seconds(), "events/s")
			b.ReportMetric(p(quiet, 99)/1000, "quiet-p99-µs")
			b.ReportMetric(p(flooded, 50)/1000, "p50-µs")
			b.ReportMetric(p(flooded, 99)/1000, "p99-µs")
			b.ReportMetric(p(flooded, 99)/p(quiet, 99), "x-quiet")
			require.Zero(b, c.Stats().Losses)
		})
	}
}
