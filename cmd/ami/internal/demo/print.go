package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami/event"
)

// A printer prints whole lines, for several goroutines.
type printer struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *printer) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	_, _ = fmt.Fprintln(p.out, line) // nobody is left to tell
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// brief is an event in one line.
func brief(e event.Event) string {
	about, channel := "", event.Channel{}
	switch e := event.Decode(e).(type) {
	case *event.Newchannel:
		channel, about = e.Channel, e.Channel.State.String()
	case *event.Newexten:
		channel, about = e.Channel, e.Application
	case *event.Newstate:
		channel, about = e.Channel, e.Channel.State.String()
	case *event.DialBegin:
		channel, about = e.Channel, "calls "+e.DestChannel.Name
	case *event.DialEnd:
		channel, about = e.Channel, e.DestChannel.Name+" "+string(e.DialStatus)
	case *event.BridgeEnter:
		channel, about = e.Channel, "bridge "+e.Bridge.UniqueID
	case *event.BridgeLeave:
		channel, about = e.Channel, "bridge "+e.Bridge.UniqueID
	case *event.Hangup:
		channel, about = e.Channel, e.Cause.String()
	case *event.UserEvent:
		about = e.UserEvent
	}
	return fmt.Sprintf("%-18s %-30s %s", e.Name(), channel.Name, about)
}

// ms is a duration in milliseconds, short enough for a table.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// grouped is a number with commas.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
