package amitest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/apn/ami/amitest"
)

const (
	tooLong = "Failed to parse message: line too long"
	missing = "Missing action in request"
)

// What get_input and do_message make of unusual input.
func TestInputLimits(t *testing.T) {
	line := func(n int) string { return "X: " + strings.Repeat("x", n-3) }
	tests := []struct {
		name, input string
		want        []string // ActionID and message, or Pong
	}{
		{"1022 bytes and CR LF fit", "Action: Ping\r\nActionID: 1\r\n" + line(1022) + "\r\n\r\n", []string{"1 Pong"}},
		{"1023 bytes and LF fit", "Action: Ping\nActionID: 1\n" + line(1023) + "\n\n", []string{"1 Pong"}},
		{
			"1023 bytes and CR LF give two errors", "Action: Ping\r\nActionID: 1\r\n" + line(1023) + "\r\n\r\n",
			[]string{"1 " + tooLong, " " + missing},
		},
		{
			"the tail of a long line is a header", "Action: Ping\r\n" + line(1024) + "ActionID: tail\r\n\r\n",
			[]string{"tail " + tooLong},
		},
		{
			"the next action is unharmed", "Action: Ping\r\n" + line(3000) + "\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\n",
			[]string{" " + tooLong, "2 Pong"},
		},
		{"NUL cuts a line", "Action: Ping\x00garbage\r\nActionID: 1\x002\r\n\r\n", []string{"1 Pong"}},
		{"lone CR is data", "Action: Ping\r\nActionID: a\rb\r\n\r\n", []string{"a\rb Pong"}},
		{"blank line is an action", "\r\n\r\nAction: Ping\r\n\r\n", []string{" " + missing, " " + missing, " Pong"}},
		{"first non-empty Action wins", "Action: \r\nAction: Ping\r\nAction: Logoff\r\nActionID: 1\r\n\r\n", []string{"1 Pong"}},
		{"colon must follow the name", "Action: Ping\r\nActionID : 1\r\n\r\n", []string{" Pong"}},
		{
			"128 headers", "Action: Ping\r\n" + strings.Repeat("X: y\r\n", 126) + "ActionID: 1\r\n\r\n",
			[]string{"1 Pong"},
		},
		{
			"129 headers", "Action: Ping\r\n" + strings.Repeat("X: y\r\n", 127) + "ActionID: 1\r\n\r\n",
			[]string{" Too many lines in message or allocation failure"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := amitest.NewServer()
				defer srv.Close()
				p := login(t, srv, "off")
				p.write(tt.input + "Action: Logoff\r\n\r\n")
				var got []string
				for msg := range strings.SplitSeq(p.rest(), "\r\n\r\n") {
					id, text := "", ""
					for header := range strings.SplitSeq(msg, "\r\n") {
						if v, ok := strings.CutPrefix(header, "ActionID: "); ok {
							id = v
						}
						for _, name := range []string{"Message: ", "Ping: "} {
							if v, ok := strings.CutPrefix(header, name); ok {
								text = v
							}
						}
					}
					if text != "" && !strings.Contains(text, "fish") {
						got = append(got, id+" "+text)
					}
				}
				assert.Equal(t, tt.want, got)
			})
		})
	}
}

func TestAnySplitOfTheInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := amitest.NewServer()
		defer srv.Close()
		p := login(t, srv, "off")
		for _, b := range []byte("Action: Ping\r\nActionID: 1\r\n\r\nAction: Logoff\r\n\r\n") {
			p.write(string(b))
			synctest.Wait()
		}
		assert.Equal(t, 2, strings.Count(p.rest(), "Response: "))
	})
}

// An ActionID that fills the buffer of a list handler loses its line end.
func TestActionIDOverflow(t *testing.T) {
	tests := []struct {
		action string
		id     int
		want   string // directly behind the ActionID of the second message
	}{
		{"ConfbridgeList\r\nConference: 1000", 67, "\r\nConference: 1000"},
		{"ConfbridgeList\r\nConference: 1000", 68, "\rConference: 1000"},
		{"ConfbridgeList\r\nConference: 1000", 69, "Conference: 1000"},
		{"QueueStatus\r\nQueue: empty", 243, "\r\n\r\nEvent: QueueStatusComplete"},
		{"QueueStatus\r\nQueue: empty", 245, "\r\nEvent: QueueStatusComplete"},
		{"PJSIPShowEndpoints", 245, "ObjectType: endpoint"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv := amitest.NewServer()
			defer srv.Close()
			p := login(t, srv, "off")
			id := strings.Repeat("i", tt.id)
			p.write("Action: " + tt.action + "\r\nActionID: " + id + "\r\n\r\nAction: Logoff\r\n\r\n")
			_, items, _ := strings.Cut(p.rest(), "\r\n\r\n")
			_, behind, ok := strings.Cut(items, "ActionID: "+id)
			assert.True(t, ok)
			assert.Equal(t, tt.want, behind[:min(len(behind), len(tt.want))], "%s with %d bytes", tt.action, tt.id)
		})
	}
}
