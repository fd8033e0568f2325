package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/apn/ami/event"
)

// An eventPrinter prints events: as text, as JSON, or chosen headers only.
type eventPrinter struct {
	out  *output
	only []string // headers
}

// jsonEvent is an event as JSON.
type jsonEvent struct {
	Node    string    `json:"node"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Lost    uint64    `json:"lost,omitempty"` // before this one
	Event   string    `json:"event,omitempty"`
	Headers *headers  `json:"headers,omitempty"`
	Gap     *jsonGap  `json:"gap,omitempty"`
}

// jsonGap is a gap as JSON.
type jsonGap struct {
	From   uint64  `json:"from"`
	To     uint64  `json:"to"`
	DownMS float64 `json:"down_ms"`
	Reason string  `json:"reason"`
	Final  bool    `json:"final,omitempty"`
}

// print prints an event or a gap.
func (p *eventPrinter) print(e event.Event) {
	gap, isGap := e.Gap()
	switch {
	case p.out.json:
		j := jsonEvent{Node: e.Node, Seq: e.Seq, Time: e.Time, Lost: e.Lost, Event: e.Name()}
		if isGap {
			j.Gap = &jsonGap{From: gap.From, To: gap.To, DownMS: millis(gap.Down), Reason: gap.Reason.Error(), Final: gap.Final()}
		} else {
			j.Headers = &headers{frame: e.Frame, only: p.only}
		}
		p.out.object(j)
		return
	case e.Lost > 0:
		p.remark(e, yellow, fmt.Sprintf("%s lost here: the output was too slow", plural(int(min(e.Lost, 1<<31)), "event")))
	}
	switch {
	case isGap && gap.Final():
		p.remark(e, red, "end: the node is not listened to any more")
	case isGap:
		p.remark(e, red, fmt.Sprintf("gap: away for %v, between sessions %d and %d: %s", gap.Down.Round(time.Millisecond), gap.From, gap.To, clean(gap.Reason.Error())))
	case len(p.only) > 0:
		p.out.line("%s", strings.Join(headers{frame: e.Frame, only: p.only}.values(), "\t"))
	default:
		p.out.line("%s %s %s", p.stamp(e), p.out.paint(bold, clean(e.Name())), p.pairs(e))
	}
}

// stamp is time and node.
func (p *eventPrinter) stamp(e event.Event) string {
	return p.out.paint(faint, e.Time.Format("15:04:05.000")) + " " + p.out.paint(cyan, e.Node)
}

// remark prints a line that is no event.
func (p *eventPrinter) remark(e event.Event, s style, text string) {
	p.out.line("# %s %s", p.stamp(e), p.out.paint(s, text))
}

// pairs are the headers that say something.
func (p *eventPrinter) pairs(e event.Event) string {
	var b strings.Builder
	for i := range e.Frame.Len() {
		key, value := e.Frame.At(i)
		if value == "" || i == 0 && key == "Event" || key == "Privilege" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if key != "" {
			b.WriteString(p.out.paint(faint, clean(key)+"="))
		}
		b.WriteString(quoted(clean(value)))
	}
	return b.String()
}

// quoted puts a text with blanks in quotes.
func quoted(s string) string {
	if strings.ContainsAny(s, ` "`) {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

// millis is a duration in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
