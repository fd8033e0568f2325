package amitest_test

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami/amitest"
)

func TestLoginMD5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := dial(t, srv)
		p.send("Action: Challenge", "AuthType: md5")
		p.until("Challenge: ")
		challenge := strings.TrimSpace(p.message())
		assert.Regexp(t, `^\d{1,9}$`, challenge)
		sum := md5.Sum([]byte(challenge + "secret"))
		p.send("Action: Login", "AuthType: MD5", "Username: ADMIN", "Key: "+hex.EncodeToString(sum[:]))
		p.until("Message: Authentication accepted\r\n\r\n")
		assert.Equal(t, "admin", srv.Session(1).User())
		p.until("Fully Booted\r\n\r\n")
		p.send("Action: Login", "Username: admin", "Secret: secret")
		assert.Contains(t, p.message(), "Message: Already authenticated")
	})
}

func TestRefusedLoginTakesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := dial(t, srv)
		start := time.Now()
		p.send("Action: Login", "Username: admin", "Secret: wrong")
		assert.Contains(t, p.rest(), "Message: Authentication failed")
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, "Error", srv.Ledger()[0].Outcome)
	})
}

func TestSingleLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", SingleLogin: true}))
		defer srv.Close()
		first := login(t, srv, "off")
		second := dial(t, srv)
		start := time.Now()
		second.send("Action: Login", "ActionID: login-1", "Username: admin", "Secret: secret")
		assert.Equal(t, "Asterisk Call Manager/11.0.0\r\n"+
			"Response: Error\r\nActionID: login-1\r\nMessage: Login Already In Use\r\n\r\n", second.rest())
		assert.Equal(t, time.Second, time.Since(start))

		require.NoError(t, first.Close())
		require.NoError(t, srv.WaitConnections(t.Context(), 0))
		login(t, srv, "off")
	})
}

func TestAuthTimeoutClosesSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithAuthTimeout(5 * time.Second))
		defer srv.Close()
		in := login(t, srv, "off")
		start := time.Now()
		p := dial(t, srv)
		time.Sleep(3 * time.Second)
		p.send("Action: Ping") // refused, and no excuse
		assert.Equal(t, "Asterisk Call Manager/11.0.0\r\nResponse: Error\r\nMessage: Permission denied\r\n\r\n", p.rest())
		assert.Equal(t, 5*time.Second, time.Since(start))
		in.send("Action: Ping")
		assert.Contains(t, in.message(), "Pong")
	})
}

func TestAuthLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithAuthLimit(2))
		defer srv.Close()
		login(t, srv, "off") // does not count
		a, b := dial(t, srv), dial(t, srv)
		a.until("\r\n")
		b.until("\r\n")
		assert.Empty(t, dial(t, srv).rest(), "closed without a banner")
		require.NoError(t, a.Close())
		require.NoError(t, srv.WaitConnections(t.Context(), 2))
		dial(t, srv).until("\r\n")
	})
}

func TestMasksAndPermissions(t *testing.T) {
	tests := []struct {
		name, mask, answer string
		read               amitest.Class
		want               []string
	}{
		{name: "on", mask: "on", answer: "On", want: []string{"Call", "User", "Both"}},
		{name: "off", mask: "off", answer: "Off"},
		{name: "unknown name", mask: "nonsense", answer: "Off"},
		{name: "one class", mask: "user", answer: "On", want: []string{"User"}},
		{name: "two classes", mask: "call,user", answer: "On", want: []string{"Call", "User", "Both"}},
		{name: "decimal", mask: "2", answer: "On", want: []string{"Call"}},
		{name: "user may not read", mask: "on", answer: "On", read: amitest.ClassCall, want: []string{"Call"}},
		{name: "user may read nothing", mask: "on", answer: "On", read: amitest.ClassNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer(amitest.WithUser(amitest.User{Name: "admin", Secret: "secret", Read: tt.read}))
				defer srv.Close()
				p := login(t, srv, "off")
				srv.Broadcast("Lost", amitest.ClassUser) // while off
				p.send("Action: Events", "EventMask: "+tt.mask)
				assert.Contains(t, p.message(), "Events: "+tt.answer)
				srv.Broadcast("Call", amitest.ClassCall)
				srv.Broadcast("User", amitest.ClassUser)
				srv.Broadcast("Both", amitest.ClassCall|amitest.ClassUser)
				synctest.Wait() // the events go out before the next action is read
				p.send("Action: Logoff")
				var got []string
				for msg := range strings.SplitSeq(p.rest(), "\r\n\r\n") {
					if name, ok := strings.CutPrefix(msg, "Event: "); ok {
						name, _, _ = strings.Cut(name, "\r\n")
						got = append(got, name)
					}
				}
				assert.Equal(t, tt.want, got)
			})
		})
	}
}

func TestEventsActionRefusesEmptyMask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: Events", "ActionID: 1")
		assert.Equal(t, "Response: Error\r\nActionID: 1\r\nMessage: Invalid event mask\r\n\r\n", p.message())
	})
}

// TestBrokenEventsAction: what action_events leaves without an answer.
func TestBrokenEventsAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer(amitest.WithBrokenEventsAction())
		defer srv.Close()
		p := login(t, srv, "off")
		p.send("Action: Events", "ActionID: 1")
		p.send("Action: Events", "ActionID: 2", "EventMask: call")
		p.send("Action: Events", "ActionID: 3", "EventMask: off")
		p.send("Action: Events", "ActionID: 4", "EventMask: on")
		assert.Equal(t, "Response: Success\r\nActionID: 2\r\nEvents: On\r\n\r\n", p.message())
		assert.Equal(t, "Response: Success\r\nActionID: 3\r\nEvents: Off\r\n\r\n", p.message())
		p.quiet()
		srv.Broadcast("Any", amitest.ClassAOC)
		assert.Contains(t, p.message(), "Event: Any", "it is set all the same")
	})
}

func TestFilters(t *testing.T) {
	tests := []struct {
		name    string
		filters [][]string
		want    string
	}{
		{"include", [][]string{{"Filter: Event: (A|B)"}}, "A B"},
		{"exclude", [][]string{{"Filter: !Event: B"}}, "A C"},
		{"start of the event", [][]string{{"Filter: ^Event: (A|C)[[:cntrl:]]"}}, "A C"},
		{"no start of a line", [][]string{{"Filter: ^Privilege"}}, ""},
		{"over lines", [][]string{{"Filter: A.*red"}}, "A"},
		{"no end of a line", [][]string{{"Filter: all.?$"}}, ""},
		{"both", [][]string{{"Filter: Event: (A|B)"}, {"Filter: !Event: B"}}, "A"},
		{"exact name", [][]string{{"MatchCriteria: name(C)"}}, "C"},
		{"header", [][]string{{"MatchCriteria: header(Color),method(exact)", "Filter: red"}}, "A"},
		{"exclude by header", [][]string{{"MatchCriteria: action(exclude),header(Color),method(starts_with)", "Filter: re"}}, "B C"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				p := login(t, srv, "on")
				for _, f := range tt.filters {
					p.send(append([]string{"Action: Filter", "Operation: Add"}, f...)...)
					assert.Contains(t, p.message(), "Message: Success")
				}
				srv.Broadcast("A", amitest.ClassCall, amitest.F("Color", "red"))
				srv.Broadcast("B", amitest.ClassCall, amitest.F("Color", "blue"))
				srv.Broadcast("C", amitest.ClassCall)
				synctest.Wait()
				p.send("Action: Logoff")
				var got []string
				for line := range strings.SplitSeq(p.rest(), "\r\n") {
					if name, ok := strings.CutPrefix(line, "Event: "); ok {
						got = append(got, name)
					}
				}
				assert.Equal(t, tt.want, strings.Join(got, " "))
			})
		})
	}
}

func TestNoEventBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := dial(t, srv)
		p.until("\r\n")
		srv.Broadcast("Lost", amitest.ClassUser)
		p.quiet()
		_, _ = io.WriteString(p, "Action: Login\nUsername: admin\nSecret: secret\n\nAction: Logoff\n\n") // bare LF will do
		assert.NotContains(t, p.rest(), "Lost")
	})
}
