package amitest_test

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

func TestFloodKeepsOrderAndRate(t *testing.T) {
	for _, perSecond := range []int{0, 1000} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				p := login(t, srv, "on")
				start := time.Now()
				const n = 20_000
				go func() { assert.NoError(t, srv.Flood(t.Context(), perSecond, n)) }()
				r := bufio.NewReader(p)
				size := 0
				for next := 1; next <= n; {
					line, err := r.ReadString('\n')
					require.NoError(t, err)
					size += len(line)
					if seq, ok := strings.CutPrefix(line, "Seq: "); ok {
						require.Equal(t, fmt.Sprint(next), strings.TrimSpace(seq))
						next++
					}
				}
				if perSecond > 0 {
					assert.Equal(t, n*time.Second/time.Duration(perSecond), time.Since(start))
				}
				assert.InDelta(t, 460, size/n, 20, "bytes per event")
			})
		})
	}
}

// A session that a slow action blocks loses what is too old.
func TestBlockedSessionLosesOldEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "user")
		p.send("Action: Originate", "Channel: PJSIP/noanswer", "Application: Wait", "Timeout: 200000")
		require.NoError(t, srv.WaitAction(t.Context(), "Originate", 1))
		srv.Broadcast("Old", amitest.ClassUser)
		time.Sleep(60 * time.Second)
		srv.Broadcast("Young", amitest.ClassUser)
		assert.Contains(t, p.message(), "Originate failed")
		assert.Contains(t, p.message(), "Event: Young")
	})
}

// Living calls are consistent: what the events say is what the lists say.
func TestLiveCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithCalls(2), amitest.WithSystemName("pbx"))
		defer srv.Close()
		p := login(t, srv, "call")
		live := make(map[string]bool)
		events, seen := 0, make(map[string]int)
		for start := time.Now(); time.Since(start) < 30*time.Second; {
			msg := p.message()
			events++
			lines := strings.Split(msg, "\r\n")
			name := strings.TrimPrefix(lines[0], "Event: ")
			seen[name]++
			for _, line := range lines {
				channel, ok := strings.CutPrefix(line, "Channel: ")
				if ok && name == "Newchannel" {
					live[channel] = true
				}
				if ok && name == "Hangup" {
					delete(live, channel)
				}
			}
		}
		assert.Greater(t, events, 30*5, "several events per second")
		for _, name := range []string{
			"Newchannel", "Newstate", "DialBegin", "DialEnd", "BridgeCreate",
			"BridgeEnter", "BridgeLeave", "BridgeDestroy", "Hangup",
		} {
			assert.Positive(t, seen[name], name)
		}
		p.send("Action: Events", "EventMask: off")
		p.until("Events: Off\r\n\r\n")
		p.send("Action: CoreShowChannels")
		list := p.until("CoreShowChannelsComplete\r\n")
		p.message()
		assert.InDelta(t, len(live), strings.Count(list, "Event: CoreShowChannel\r\n"), 4)
		p.send("Action: Command", "Command: core show channels")
		assert.Contains(t, p.message(), " active channels\r\n")

		_, channel, _ := strings.Cut(list, "\r\nChannel: ")
		channel, _, _ = strings.Cut(channel, "\r\n")
		p.send("Action: Hangup", "Channel: "+channel)
		assert.Contains(t, p.message(), "Channel Hungup")
		synctest.Wait()
		p.send("Action: CoreShowChannels")
		assert.NotContains(t, p.until("CoreShowChannelsComplete\r\n"), channel)
	})
}
