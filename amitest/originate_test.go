package amitest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

func TestSynchronousOriginateBlocksItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "on")
		other := login(t, srv, "off")
		start := time.Now()
		p.send("Action: Originate", "ActionID: o", "Channel: PJSIP/noanswer", "Application: Wait", "Data: 1", "Timeout: 3000")
		p.send("Action: Ping", "ActionID: p")
		require.NoError(t, srv.WaitAction(t.Context(), "originate", 1))
		srv.Broadcast("Late", amitest.ClassUser)
		p.quiet()

		other.send("Action: Ping")
		assert.Contains(t, other.message(), "Pong")
		assert.Zero(t, time.Since(start))

		got := p.until("Ping: Pong\r\n")
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.True(t, strings.HasPrefix(got, "Response: Error\r\nActionID: o\r\nMessage: Originate failed\r\n\r\n"), got)
		assert.Contains(t, got, "Event: Late", "events wait for the end of the action")
	})
}

func TestAsyncOriginate(t *testing.T) {
	tests := []struct{ channel, response, reason, cause string }{
		{"PJSIP/2001", "Success", "4", ""},
		{"PJSIP/busy", "Failure", "5", "17"},
		{"PJSIP/congestion", "Failure", "8", "34"},
		{"PJSIP/noanswer", "Failure", "3", "19"},
		{"PJSIP/hangup", "Failure", "1", "16"},
		{"PJSIP/nosuch", "Failure", "0", ""},
		{"Nonsense/2001", "Failure", "0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.channel, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				p, other, off := login(t, srv, "on"), login(t, srv, "call"), login(t, srv, "off")
				p.send("Action: Originate", "ActionID: o-7", "Channel: "+tt.channel, "Context: default",
					"Exten: 100", "Priority: 1", "Async: true", `CallerID: "Alice" <1234>`)
				assert.Equal(t, "Response: Success\r\nActionID: o-7\r\nMessage: Originate successfully queued\r\n\r\n", p.message())
				for _, c := range []*peer{p, other} {
					before := c.until("Event: OriginateResponse\r\n")
					if tt.cause != "" {
						assert.Contains(t, before, "Cause: "+tt.cause+"\r\n")
					}
					want := "Privilege: call,all\r\nActionID: o-7\r\nResponse: " + tt.response + "\r\nChannel: "
					got := c.message()
					assert.True(t, strings.HasPrefix(got, want), got)
					assert.Contains(t, got, "Context: default\r\nExten: 100\r\nReason: "+tt.reason+"\r\nUniqueid: ")
					assert.Contains(t, got, "CallerIDNum: 1234\r\nCallerIDName: Alice\r\n")
				}
				off.quiet()
			})
		})
	}
}

func TestOriginatedChannelLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithSystemName("pbx"))
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: Originate", "Channel: Local/100@default/n", "Application: Wait", "Data: 60",
			"ChannelId: mine", "Variable: A=1,B=2")
		assert.Contains(t, p.message(), "Success")
		p.send("Action: CoreShowChannels", "ActionID: 1")
		assert.Contains(t, p.until("CoreShowChannelsComplete\r\n"),
			"Event: CoreShowChannel\r\nActionID: 1\r\nChannel: Local/100@default-00000001;1\r\n"+
				"ChannelState: 6\r\nChannelStateDesc: Up\r\n")
		assert.Contains(t, p.message(), "ListItems: 1\r\n")
		p.send("Action: Status", "ActionID: 2")
		assert.Contains(t, p.until("StatusComplete\r\n"), "Seconds: 0\r\nActionID: 2\r\n\r\n")
		p.message()
		p.send("Action: Getvar", "Channel: Local/100@default-00000001;1", "Variable: B")
		assert.Contains(t, p.message(), "Value: 2\r\n")
		p.send("Action: Command", "Command: core show channels")
		assert.Contains(t, p.message(), "Output: 1 active channel\r\nOutput: 1 active call\r\nOutput: 0 calls processed\r\n")
		p.send("Action: Redirect", "Channel: Local/100@default-00000001;1", "Context: xfer", "Exten: 200", "Priority: 1")
		assert.Contains(t, p.message(), "Redirect successful")
		p.send("Action: Hangup", "ActionID: h", "Channel: /^Local.*/")
		assert.Contains(t, p.until("ChannelsHungupListComplete\r\n"),
			"Event: ChannelHungup\r\nChannel: Local/100@default-00000001;1\r\nActionID: h\r\n\r\n")
		p.message()
		p.send("Action: Hangup", "Channel: mine")
		assert.Contains(t, p.message(), "Message: No such channel\r\n")
	})
}

func TestWaitEvent(t *testing.T) {
	tests := []struct {
		name string
		mask string
		wake func(srv *amitest.Server, p *peer)
		want string
		took time.Duration
	}{
		{"time", "on", func(*amitest.Server, *peer) {}, "", 5 * time.Second},
		{"event", "on", func(srv *amitest.Server, _ *peer) { srv.Broadcast("E", amitest.ClassUser) }, "Event: E\r\nPrivilege: user,all\r\n\r\n", 0},
		{"input", "on", func(_ *amitest.Server, p *peer) { p.write("Act") }, "", 0},
		{"event that is masked", "off", func(srv *amitest.Server, _ *peer) { srv.Broadcast("E", amitest.ClassUser) }, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				p := login(t, srv, tt.mask)
				start := time.Now()
				p.send("Action: WaitEvent", "ActionID: w", "Timeout: 5")
				synctest.Wait()
				tt.wake(srv, p)
				assert.Equal(t, "Response: Success\r\nActionID: w\r\nMessage: Waiting for Event completed.\r\n\r\n"+
					tt.want+"Event: WaitEventComplete\r\nActionID: w\r\n\r\n",
					p.until("Event: WaitEventComplete\r\n")+p.message())
				assert.Equal(t, tt.took, time.Since(start))
			})
		})
	}
}

func TestOldCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithOldCommand())
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: Command", "ActionID: c", "Command: core show version")
		assert.Regexp(t, "^Response: Follows\r\nPrivilege: Command\r\nActionID: c\r\nAsterisk 22[^\n]*[^\r]\n--END COMMAND--\r\n\r\n$", p.message())
	})
}

func TestShowDialPlanErrorEndsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: ShowDialPlan", "ActionID: 1", "Context: none")
		p.send("Action: Logoff", "ActionID: 2")
		assert.Equal(t, "Response: Success\r\nActionID: 1\r\nEventList: start\r\nMessage: DialPlan list will follow\r\n\r\n"+
			"Response: Error\r\nActionID: 1\r\nMessage: Did not find context none\r\n\r\n"+
			"Response: Goodbye\r\nActionID: 2\r\nMessage: Thanks for all the fish.\r\n\r\n", p.rest())
	})
}

func TestQueueActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "off")
		do := func(lines ...string) string { p.send(lines...); return p.message() }
		assert.Contains(t, do("Action: QueueAdd", "Queue: empty", "Interface: PJSIP/1"), "Added interface to queue")
		assert.Contains(t, do("Action: QueueAdd", "Queue: empty", "Interface: PJSIP/1"), "Unable to add interface: Already there")
		assert.Contains(t, do("Action: QueueAdd", "Queue: none", "Interface: PJSIP/1"), "No such queue")
		assert.Contains(t, do("Action: QueuePause", "Interface: PJSIP/1", "Paused: true"), "Interface paused successfully")
		assert.Contains(t, do("Action: QueuePause", "Interface: PJSIP/2", "Paused: true"), "Interface not found")
		p.send("Action: QueueStatus", "Queue: empty", "ActionID: q")
		status := p.until("QueueStatusComplete\r\n")
		assert.Contains(t, status, "Location: PJSIP/1\r\n")
		assert.Contains(t, status, "Paused: 1\r\nPausedReason: \r\nWrapuptime: 0\r\nActionID: q\r\n\r\n")
		assert.Contains(t, p.message(), "ListItems: 2\r\n")
		assert.Contains(t, do("Action: QueueRemove", "Queue: empty", "Interface: PJSIP/1"), "Removed interface from queue")
		p.send("Action: QueueSummary", "ActionID: s")
		assert.Contains(t, p.until("QueueSummaryComplete\r\n"), "Queue: support\r\nLoggedIn: 2\r\n")
	})
}
