package main

import (
	"fmt"
	"os"
	"time"
)

// A progress shows on a terminal how a recording goes: a line that is written over.
type progress struct {
	r      *recorder
	ticker *time.Ticker
	tick   <-chan time.Time // never, if stderr is no terminal
}

func (r *recorder) progress() *progress {
	p := &progress{r: r}
	if isTerminal(r.app.stderr, os.Getenv) {
		p.ticker = time.NewTicker(time.Second)
		p.tick = p.ticker.C
		p.show()
	}
	return p
}

// show writes the line anew. Log records go over it.
func (p *progress) show() {
	t := &p.r.tape
	_, _ = fmt.Fprintf(p.r.app.stderr, "\r\x1b[K%s  %s, %d bytes, %s\r", p.r.node, plural(int(t.events.Load()), "event"),
		t.bytes.Load(), time.Since(t.start).Round(time.Second)) // nobody is left to tell
}

// end takes the line away.
func (p *progress) end() {
	if p.ticker == nil {
		return
	}
	p.ticker.Stop()
	p.ticker, p.tick = nil, nil
	_, _ = fmt.Fprint(p.r.app.stderr, "\r\x1b[K") // as above
}
