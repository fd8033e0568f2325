package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func TestWhere(t *testing.T) {
	f, err := frame.Parse("Event: Hangup\r\nChannel: PJSIP/2001-0001\r\nCause: 17\r\nChanVariable: a=1\r\nChanVariable: b=2\r\nEmpty: \r\n\r\n")
	require.NoError(t, err)
	e := event.Event{Frame: f}
	for where, want := range map[string]bool{
		"Cause=17":               true,
		"cause=17":               true,
		" Cause =17":             true,
		"Cause=1":                false,
		"Cause!=17":              false,
		"Cause!=16":              true,
		"Cause~^1":               true,
		"Cause!~^1":              false,
		"Event=Hangup":           true,
		"Channel~^PJSIP/2001-":   true,
		"Channel=pjsip/2001":     false,
		"ChanVariable=a=1":       true,
		"ChanVariable=b=2":       true,
		"ChanVariable!=b=2":      false,
		"ChanVariable~^(c|b)=":   true,
		"Empty=":                 true,
		"Absent=":                true,
		"Absent!=":               false,
		"Absent~^$":              true,
		"Cause-txt=User busy":    false,
		"Channel!~(?i)^pjsip/20": false,
	} {
		c, err := parseWhere(where)
		require.NoError(t, err, where)
		require.Equal(t, want, c.holds(e), where)
	}
	both, err := parseConditions([]string{"Cause=17", "Event=Newchannel"})
	require.NoError(t, err)
	require.False(t, allHold(both)(e), "all must hold")
	for _, bad := range []string{"", "Cause", "=17", "Cause!17", "Cause!", "Cause!!=1", "Cause~(", "~x", " =1"} {
		_, err := parseWhere(bad)
		_, isUsage := err.(*usageError) //nolint:errorlint // as it comes
		require.True(t, isUsage, bad)
	}
}

func FuzzWhere(f *testing.F) {
	f.Add("Cause=17")
	f.Add("A!~b")
	empty := event.Event{Frame: new(frame.Frame)}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseWhere(s)
		if err != nil {
			return
		}
		require.NotEmpty(t, c.header)
		opposite := c
		opposite.negated = !c.negated
		require.NotEqual(t, c.holds(empty), opposite.holds(empty))
	})
}
