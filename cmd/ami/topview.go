package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// A canvas makes lines of a width.
type canvas struct {
	width, height int
	paint         func(style, string) string
}

// line cuts a text to the width, cleans it, and paints it.
func (c canvas) line(s style, text string) string {
	return c.paint(s, strings.TrimRight(ansi.Truncate(clean(text), max(c.width, 0), "…"), " "))
}

// fit makes exactly the lines that the screen has: head and foot, with the body
// between them. What there is no room for is left out: first of the body, then
// what is farther from the edge.
func (c canvas) fit(head, body, foot []string) string {
	head = head[:min(len(head), c.height)]
	foot = foot[:min(len(foot), c.height-len(head))]
	lines := append([]string{}, head...)
	room := c.height - len(head) - len(foot)
	for i := range room {
		if i < len(body) {
			lines = append(lines, body[i])
		} else {
			lines = append(lines, "")
		}
	}
	return strings.Join(append(lines, foot...), "\n")
}

// bodyLines is how many lines of the screen the rows have.
func (c canvas) bodyLines() int { return max(c.height-3, 0) }

// layOut chooses the columns for rows.
func (c canvas) layOut(rows []*row) layout {
	names, reasons := 0, 0
	for _, r := range rows {
		names = max(names, ansi.StringWidth(clean(r.key)))
		reasons = max(reasons, ansi.StringWidth(clean(r.reason())))
	}
	return layOut(c.width, names, reasons)
}

// list is the screen with all nodes. foot is its last line.
func (c canvas) list(b *board, foot string) string {
	rows := b.shown()
	l := c.layOut(rows)
	var body []string
	for i := b.top; i < len(rows) && len(body) < c.bodyLines(); i++ {
		body = append(body, c.row(b, rows[i], l, i == b.cursor))
	}
	if len(rows) == 0 {
		body = append(body, c.line(faint, " no node has "+b.filter+" in its name"))
	}
	return c.fit([]string{c.header(b, len(rows)), c.titles(b, l)}, body, []string{foot})
}

// titles is the line above the rows. The column that sorts them has a mark.
func (c canvas) titles(b *board, l layout) string {
	var s strings.Builder
	s.WriteString(" ")
	for i, n := range l.columns {
		if i > 0 {
			s.WriteString(" ")
		}
		look := faint
		if n == b.sortBy {
			look = bold
		}
		s.WriteString(c.paint(look, cell(columns[n].title, l.widths[i], columns[n].left)))
	}
	return c.cut(s.String())
}

// row is the line of a node.
func (c canvas) row(b *board, r *row, l layout, chosen bool) string {
	var s strings.Builder
	if chosen {
		s.WriteString(">") // also without colours
	} else {
		s.WriteString(" ")
	}
	for i, n := range l.columns {
		if i > 0 {
			s.WriteString(" ")
		}
		text, look := columns[n].text(b, r)
		text = cell(text, l.widths[i], columns[n].left)
		if chosen {
			look = plain // the whole line has one
		}
		s.WriteString(c.paint(look, text))
	}
	if chosen {
		return c.paint(reverse, c.cut(s.String()))
	}
	return c.cut(s.String())
}

// cut cuts a line that is made of cells.
func (c canvas) cut(line string) string { return ansi.Truncate(line, max(c.width, 0), "") }

// header is the first line: totals, how the rows are chosen, and the time.
func (c canvas) header(b *board, shown int) string {
	t := b.totals()
	facts := []string{fmt.Sprintf("%d/%d ready", t.ready, t.nodes), shortRate(t.events) + " events/s"}
	if t.someChannels {
		facts = append(facts, plural(t.channels, "channel"))
	}
	drops := plural(int(min(t.drops, 1<<31)), "drop")
	if t.dropping {
		drops += "+"
	}
	order := "up"
	if columns[b.sortBy].descends != b.reverse {
		order = "down"
	}
	facts = append(facts, drops, "by "+columns[b.sortBy].title+" "+order)
	if b.filter != "" {
		facts = append(facts, fmt.Sprintf("/%s: %d", clean(b.filter), shown))
	}
	clock := b.at.Format(time.TimeOnly)
	text := "ami top"
	for _, fact := range facts {
		if ansi.StringWidth(text)+2+ansi.StringWidth(fact)+2+len(clock) <= c.width {
			text += "  " + fact
		}
	}
	text += strings.Repeat(" ", max(c.width-ansi.StringWidth(text)-len(clock), 1)) + clock
	look := bold
	if t.ready < t.nodes {
		look = yellow
	}
	if t.dropping {
		look = red
	}
	return c.line(look, text)
}

// page is a screen of text, from its line top on.
func (c canvas) page(title string, text []string, top int, foot string) string {
	body := make([]string, 0, len(text))
	for _, line := range text[min(top, len(text)):] {
		body = append(body, c.line(plain, line))
	}
	return c.fit([]string{c.line(bold, title), ""}, body, []string{foot})
}

// details is all that is known of a node, in lines.
func (c canvas) details(b *board, r *row) (lines []string) {
	put := func(label, format string, args ...any) {
		text := clean(fmt.Sprintf(format, args...))
		label = fmt.Sprintf("%-14s", label)
		for part := range strings.Lines(ansi.Wrap(text, max(c.width-16, 20), "")) {
			lines = append(lines, "  "+label+strings.TrimRight(part, "\n"))
			label = strings.Repeat(" ", len(label))
		}
	}
	s := &r.stats
	put("address", "%s", r.addr)
	put("state", "%s for %s", s.State, age(b.at.Sub(s.Since)))
	if r.reason() != "" {
		put("reason", "%s", r.reason())
	} else if r.why != "" {
		put("was down", "%s", r.why)
	}
	put("session", "%d; %s, %s, %s", s.Epoch, plural(int(min(s.Connects, 1<<31)), "login"),
		plural(int(min(s.Losses, 1<<31)), "lost session"), plural(int(min(s.Failures, 1<<31)), "failed attempt"))
	if r.gap != nil {
		put("last gap", "%s ago, away for %s: %s", age(b.at.Sub(r.gap.at)), r.gap.Down.Round(time.Millisecond), explain(r.key, r.gap.Reason))
	}
	put("asterisk", "%s  %s", orDash(r.version), s.Banner)
	put("event mask", "%s", orDash(s.EventMask))
	put("may read", "%s", classText(r.privileges, func(p *privileges) []string { return p.Read }))
	put("may write", "%s", classText(r.privileges, func(p *privileges) []string { return p.Write }))
	put("breaker", "%s", s.Breaker)
	put("waiting", "%s, %s to be written, %s to be counted", plural(s.Pending, "action"), plural(s.Outbound, "action"), plural(s.Queued, "event"))
	put("events", "%d, %s/s; %d dropped", s.Events, shortRate(r.events.value), r.dropped())
	lines = append(lines, "")
	for _, n := range r.busiest(10) {
		lines = append(lines, fmt.Sprintf("  %9s/s %12d  %s", shortRate(n.rate), n.count, clean(n.name)))
	}
	return lines
}

func orDash(s string) string {
	if s == "" {
		return dash
	}
	return s
}

// classText lists classes. What could not be found out is a dash.
func classText(p *privileges, which func(*privileges) []string) string {
	switch {
	case p == nil || which(p) == nil:
		return dash
	case len(which(p)) == 0:
		return "nothing"
	default:
		return strings.Join(which(p), ",")
	}
}

// helpLines is the page with all keys and columns.
var helpLines = []string{
	"  up, down, PgUp, PgDn, Home, End   choose a node",
	"  Enter                             its details",
	"  s or right, left                  sort by the next column, the one before",
	"  r                                 the other way round",
	"  /                                 only nodes with a text in their name:",
	"                                    Enter keeps it, Esc takes it back",
	"  q, Ctrl-C                         end",
	"  Esc                               back; end",
	"",
	"  SINCE     how long it is in this state",
	"  RECONN    how often it came back; EPOCH: number of its session",
	"  EVENTS/S  averaged over some seconds",
	"  QUEUE     events that wait to be counted",
	"  DROPS     events that this command has lost, with + while they grow",
	"  PEND      actions that wait for their answer",
	"  LATENCY   of the last Ping",
	"  CHANS     its channels",
	"  A dash: it is not known, or the user may not ask.",
}
