package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/apn/ami"
)

// A column is what the board shows of each node.
type column struct {
	title    string
	width    int  // least width in cells; that of nodeColumn and reasonColumn grows
	rank     int  // what falls away first when the screen is narrow: the highest
	left     bool // text; numbers stand on the right
	descends bool // sorted by it, the largest comes first
	text     func(b *board, r *row) (string, style)
	compare  func(x, y *row) int
}

// The columns that grow.
const nodeColumn = 0

var reasonColumn = slices.IndexFunc(columns, func(c column) bool { return c.title == "REASON" })

// dash stands for what is not known.
const dash = "-"

// columns are all columns in their order on the screen.
var columns = []column{
	{
		title: "NODE", width: 8, rank: 0, left: true,
		text:    func(_ *board, r *row) (string, style) { return r.key, cyan },
		compare: func(x, y *row) int { return strings.Compare(x.key, y.key) },
	},
	{
		title: "STATE", width: 12, rank: 1, left: true,
		text: func(_ *board, r *row) (string, style) { return r.stats.State.String(), r.look() },
		// What is down comes first.
		compare: func(x, y *row) int { return cmp.Compare(x.stats.State, y.stats.State) },
	},
	{
		title: "SINCE", width: 6, rank: 6,
		text:    func(b *board, r *row) (string, style) { return age(b.at.Sub(r.stats.Since)), plain },
		compare: func(x, y *row) int { return y.stats.Since.Compare(x.stats.Since) },
	},
	{
		title: "RECONN", width: 6, rank: 9, descends: true,
		text:    func(_ *board, r *row) (string, style) { return shortCount(r.reconnects()), plain },
		compare: func(x, y *row) int { return cmp.Compare(x.reconnects(), y.reconnects()) },
	},
	{
		title: "EPOCH", width: 5, rank: 11, descends: true,
		text:    func(_ *board, r *row) (string, style) { return shortCount(r.stats.Epoch), plain },
		compare: func(x, y *row) int { return cmp.Compare(x.stats.Epoch, y.stats.Epoch) },
	},
	{
		title: "EVENTS/S", width: 8, rank: 2, descends: true,
		text: func(_ *board, r *row) (string, style) {
			if !r.events.known {
				return dash, faint
			}
			return shortRate(r.events.value), plain
		},
		compare: func(x, y *row) int { return cmp.Compare(x.events.value, y.events.value) },
	},
	{
		title: "QUEUE", width: 6, rank: 7, descends: true,
		text:    func(_ *board, r *row) (string, style) { return shortCount(uint64(r.stats.Queued)), plain },
		compare: func(x, y *row) int { return cmp.Compare(x.stats.Queued, y.stats.Queued) },
	},
	{
		title: "DROPS", width: 7, rank: 4, descends: true,
		text: func(b *board, r *row) (string, style) {
			if b.dropping(r) {
				return shortCount(r.dropped()) + "+", red // also without colours
			}
			return shortCount(r.dropped()), plain
		},
		compare: func(x, y *row) int { return cmp.Compare(x.dropped(), y.dropped()) },
	},
	{
		title: "PEND", width: 5, rank: 8, descends: true,
		text:    func(_ *board, r *row) (string, style) { return shortCount(uint64(r.stats.Pending)), plain },
		compare: func(x, y *row) int { return cmp.Compare(x.stats.Pending, y.stats.Pending) },
	},
	{
		title: "LATENCY", width: 9, rank: 5, descends: true,
		text: func(_ *board, r *row) (string, style) {
			if r.latency == 0 {
				return dash, faint
			}
			return shortTime(r.latency), plain
		},
		compare: func(x, y *row) int { return cmp.Compare(x.latency, y.latency) },
	},
	{
		title: "CHANS", width: 6, rank: 3, descends: true,
		text: func(_ *board, r *row) (string, style) {
			if r.channels < 0 {
				return dash, faint
			}
			return shortCount(uint64(r.channels)), plain
		},
		compare: func(x, y *row) int { return cmp.Compare(x.channels, y.channels) },
	},
	{
		title: "ASTERISK", width: 9, rank: 10, left: true,
		text: func(_ *board, r *row) (string, style) {
			if r.version == "" {
				return dash, faint
			}
			return r.version, plain
		},
		compare: func(x, y *row) int { return strings.Compare(x.version, y.version) },
	},
	{
		title: "REASON", width: 20, rank: 12, left: true,
		text:    func(_ *board, r *row) (string, style) { return r.reason(), yellow },
		compare: func(x, y *row) int { return strings.Compare(y.reason(), x.reason()) },
	},
}

// look is the style of the state.
func (s *nodeSample) look() style {
	switch s.stats.State {
	case ami.Ready:
		return green
	case ami.Disconnected:
		return red
	default:
		return yellow
	}
}

// A long name of a node goes before columns from dearRank on, for mostWish more
// cells at most.
const (
	dearRank = 6
	mostWish = 12
)

// A layout is which columns there is room for, and how wide each is.
type layout struct {
	columns []int // of columns, in order
	widths  []int
}

// layOut chooses the columns for a screen that is so many cells wide. names is the
// width of the longest name of a node, reasons that of the longest reason.
func layOut(width, names, reasons int) layout {
	byRank := make([]int, len(columns))
	for i, c := range columns {
		byRank[c.rank] = i
	}
	left := width - 1 // the mark of the row that is chosen
	wish := min(max(names-columns[nodeColumn].width, 0), mostWish)
	var l layout
	for _, i := range byRank {
		need := columns[i].width
		if i != nodeColumn {
			need++ // the gap before it
		}
		reserved := 0
		if columns[i].rank >= dearRank {
			reserved = wish
		}
		if need+reserved > left && i != nodeColumn {
			break
		}
		left -= need
		l.columns = append(l.columns, i)
	}
	slices.Sort(l.columns)
	for _, i := range l.columns {
		w := columns[i].width
		switch grow := max(left, 0); i {
		case nodeColumn:
			grow = min(grow, max(names-w, 0))
			w, left = w+grow, left-grow
		case reasonColumn:
			grow = min(grow, max(reasons-w, 0))
			w, left = w+grow, left-grow
		}
		l.widths = append(l.widths, w)
	}
	return l
}

// cell makes a text exactly so many cells wide. It may come from a server.
func cell(text string, width int, left bool) string {
	text = ansi.Truncate(clean(text), max(width, 0), "…")
	pad := strings.Repeat(" ", max(width-ansi.StringWidth(text), 0))
	if left {
		return text + pad
	}
	return pad + text
}

// shortCount is a count in 6 characters at most.
func shortCount(n uint64) string {
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	return shortFloat(float64(n))
}

// shortRate is a rate in 6 characters at most.
func shortRate(v float64) string {
	switch {
	case v < 999.95:
		return fmt.Sprintf("%.1f", v)
	case v < 99_999.5:
		return fmt.Sprintf("%.0f", v)
	default:
		return shortFloat(v)
	}
}

// shortFloat is a large number in 5 characters at most.
func shortFloat(v float64) string {
	for _, unit := range []string{"k", "M", "G", "T", "P"} {
		switch v /= 1000; {
		case v < 99.95:
			return fmt.Sprintf("%.1f%s", v, unit)
		case v < 999.5:
			return fmt.Sprintf("%.0f%s", v, unit)
		}
	}
	return "much"
}

// shortTime is a latency in 9 characters at most.
func shortTime(d time.Duration) string {
	if d < time.Second {
		return ms(d)
	}
	if d < 1000*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return age(d)
}
