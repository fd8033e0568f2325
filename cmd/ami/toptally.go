package main

import (
	"strings"
	"sync"
	"time"

	"github.com/apn/ami/event"
)

// mostNames is how many names of events are counted on their own for a node:
// whoever may send a UserEvent may not fill the memory. The rest is otherNames.
const (
	mostNames  = 500
	otherNames = "(others)"
)

// A tally is what the events of one node have told. The loop over the events
// fills it; anybody reads.
type tally struct {
	mu       sync.Mutex
	names    map[string]*uint64 // how often each event came
	lost     uint64             // events that were dropped before they could be counted
	gap      *pastGap
	channels channelSet
}

// A pastGap is the last time that a node was away.
type pastGap struct {
	event.Gap

	at time.Time // when it was over
}

// add counts an event. It reports whether what is known of the channels may be
// wrong from here on.
func (t *tally) add(e event.Event) (doubtful bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost += e.Lost
	if gap, ok := e.Gap(); ok {
		t.gap = &pastGap{Gap: gap, at: e.Time}
		t.channels.forget()
		return true
	}
	name := e.Name()
	t.count(name)
	switch name {
	case "Newchannel":
		t.channels.come(e.Get("Uniqueid"))
	case "Hangup":
		t.channels.leave(e.Get("Uniqueid"))
	}
	return e.Lost > 0
}

// count counts a name. The caller holds mu. Names are copied, once: each is part
// of a message, which would stay in memory with it.
func (t *tally) count(name string) {
	n, known := t.names[name]
	if !known {
		if t.names == nil {
			t.names = make(map[string]*uint64)
		}
		if name = strings.Clone(name); len(t.names) >= mostNames {
			name = otherNames
		}
		if n, known = t.names[name]; !known {
			n = new(uint64)
			t.names[name] = n
		}
	}
	*n++
}

// A channelSet is which channels a node has: those of the last list, those that
// came since, and without those that are gone. Its zero value knows nothing.
type channelSet struct {
	known bool
	live  map[string]struct{} // by Uniqueid

	// What came and went since a list was asked for. The list may have it or not:
	// Asterisk makes it while calls go on.
	asked      bool
	came, gone map[string]struct{}
}

func (c *channelSet) come(id string) {
	if !c.known && !c.asked {
		return // a list will say
	}
	id = strings.Clone(id)
	if c.known {
		c.live[id] = struct{}{}
	}
	if c.asked {
		c.came[id] = struct{}{}
	}
}

func (c *channelSet) leave(id string) {
	delete(c.live, id)
	if c.asked {
		delete(c.came, id)
		c.gone[strings.Clone(id)] = struct{}{}
	}
}

// ask is called before a list is asked for.
func (c *channelSet) ask() {
	c.asked, c.came, c.gone = true, make(map[string]struct{}), make(map[string]struct{})
}

// listed takes in the list that was asked for. One that was asked for before a gap
// tells nothing of the time behind it.
func (c *channelSet) listed(ids []string) {
	if !c.asked {
		return
	}
	c.known, c.live = true, c.came
	for _, id := range ids {
		if _, gone := c.gone[id]; !gone {
			c.live[strings.Clone(id)] = struct{}{}
		}
	}
	c.asked, c.came, c.gone = false, nil, nil
}

// refused is called if there was no list. What is known stays.
func (c *channelSet) refused() { c.asked, c.came, c.gone = false, nil, nil }

// forget forgets everything.
func (c *channelSet) forget() { *c = channelSet{} }

// count returns how many channels there are, -1 if that is not known.
func (c *channelSet) count() int {
	if !c.known {
		return -1
	}
	return len(c.live)
}
