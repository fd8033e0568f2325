package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// median is that of each figure on its own.
func median(results []Result) Result {
	pick := func(f func(Result) float64) float64 {
		var list []float64
		for _, r := range results {
			list = append(list, f(r))
		}
		slices.Sort(list)
		return list[len(list)/2]
	}
	return Result{
		Wall:   time.Duration(pick(func(r Result) float64 { return float64(r.Wall) })),
		CPU:    time.Duration(pick(func(r Result) float64 { return float64(r.CPU) })),
		Allocs: pick(func(r Result) float64 { return r.Allocs }),
		P50:    time.Duration(pick(func(r Result) float64 { return float64(r.P50) })),
		P99:    time.Duration(pick(func(r Result) float64 { return float64(r.P99) })),
		Kept:   int(pick(func(r Result) float64 { return float64(r.Kept) })),
		Lost:   int(pick(func(r Result) float64 { return float64(r.Lost) })),
		Bytes:  pick(func(r Result) float64 { return r.Bytes }),
	}
}

// A column shows one figure.
type column struct {
	title string
	show  func(r, base Result) string
}

var (
	wall   = column{"wall", func(r, _ Result) string { return short(r.Wall) }}
	used   = column{"CPU", func(r, _ Result) string { return short(r.CPU) }}
	ratio  = column{"CPU / first", func(r, base Result) string { return times(float64(r.CPU), float64(base.CPU)) }}
	wallTo = column{"wall / first", func(r, base Result) string { return times(float64(r.Wall), float64(base.Wall)) }}
	allocs = column{"allocations", func(r, _ Result) string { return fmt.Sprintf("%.1f", r.Allocs) }}
	p50    = column{"p50", func(r, _ Result) string { return short(r.P50) }}
	p50To  = column{"p50 / first", func(r, base Result) string { return times(float64(r.P50), float64(base.P50)) }}
	p99    = column{"p99", func(r, _ Result) string { return short(r.P99) }}
	kept   = column{"lines kept", func(r, _ Result) string { return fmt.Sprint(r.Kept) }}
	size   = column{"KiB", func(r, _ Result) string { return fmt.Sprintf("%.1f", r.Bytes/1024) }}
	lost   = column{"replies lost or later than 1 s, of 20", func(r, _ Result) string { return fmt.Sprint(r.Lost) }}
	rate   = column{"events/s", func(r, _ Result) string { return grouped(perSecond(r.Wall)) }}
	rateTo = column{"events per CPU second", func(r, _ Result) string { return grouped(perSecond(r.CPU)) }}
)

var columns = map[string][]column{
	"parse":    {used, ratio, allocs},
	"events":   {rate, rateTo, used, ratio, allocs},
	"ping1":    {p50, p50To, p99, used, allocs},
	"ping64":   {wall, used, ratio, allocs},
	"command":  {wall, wallTo, kept, allocs},
	"idle":     {size},
	"idletls":  {size},
	"nodes1":   {rate, used, allocs},
	"nodes10":  {rate, used, allocs},
	"nodes100": {rate, used, allocs},
	"slow":     {lost, p50, p99},
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(d)/1e3)
	default:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
}

func times(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func perSecond(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(time.Second / d)
}

func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// markdown is all tables. The first row of each, a bound where there is one, is
// what the ratios refer to.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %d cores, %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().Format(time.DateOnly))
	for _, f := range t.families {
		fmt.Fprintf(&b, "\n%s\n\n| |", f.Title)
		cols := columns[f.Name]
		for _, c := range cols {
			fmt.Fprintf(&b, " %s |", c.title)
		}
		b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(cols)) + "\n")
		var base *Result
		for _, l := range libraries() {
			results := t.results[f.Name][l.Name]
			failure := t.failures[f.Name][l.Name]
			if len(results) == 0 && failure == "" {
				continue
			}
			name := l.Name
			if len(results) > 0 && failure != "" {
				name = fmt.Sprintf("%s (median of %d rounds; others: %s)", name, len(results), failure)
			}
			fmt.Fprintf(&b, "| %s |", name)
			if len(results) == 0 {
				fmt.Fprintf(&b, " %s |%s\n", failure, strings.Repeat(" |", len(cols)-1))
				continue
			}
			m := median(results)
			if base == nil {
				base = &m
			}
			for _, c := range cols {
				fmt.Fprintf(&b, " %s |", c.show(m, *base))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// svg is a bar chart of the events per CPU second.
func (t *table) svg() string {
	const height, label, width = 26, 210, 420
	type bar struct {
		name string
		rate int
	}
	var bars []bar
	most := 1
	for _, l := range libraries() {
		if results := t.results["events"][l.Name]; len(results) > 0 {
			r := perSecond(median(results).CPU)
			bars = append(bars, bar{l.Name, r})
			most = max(most, r)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n",
		label+width+110, height*len(bars)+34)
	b.WriteString(`<text x="4" y="18" font-weight="bold">Events end to end, per CPU second of the client</text>` + "\n")
	for i, bar := range bars {
		y := 30 + i*height
		color := "#9aa5b1"
		switch {
		case strings.HasPrefix(bar.name, "ami"):
			color = "#2f6fde"
		case strings.HasPrefix(bar.name, "bound"), strings.HasPrefix(bar.name, "raw"):
			color = "#d5dae0"
		}
		w := max(1, bar.rate*width/most)
		fmt.Fprintf(&b, `<text x="4" y="%d">%s</text><rect x="%d" y="%d" width="%d" height="18" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			y+14, bar.name, label, y, w, color, label+w+6, y+14, grouped(bar.rate))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
