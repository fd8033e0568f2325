package fair

import (
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// An Item is an event on its way through queues: what is its own, and where the
// rest stands, which it shares with all that came with the same read. It is copied
// from queue to queue, so that its size counts: it is less than half of an Event.
type Item struct {
	Frame *frame.Frame
	Seq   uint64
	Lost  uint64

	// Of has the node, the time and the gap. It is shared, and nobody changes it.
	Of *event.Event
}

// ItemOf returns e as an item.
func ItemOf(e event.Event) Item { return Item{Frame: e.Frame, Seq: e.Seq, Lost: e.Lost, Of: &e} }

// Event returns the event that i stands for.
func (i *Item) Event() event.Event {
	e := *i.Of
	e.Frame, e.Seq, e.Lost = i.Frame, i.Seq, i.Lost
	return e
}

// isGap reports whether the event tells of a gap.
func (i *Item) isGap() bool {
	_, gap := i.Of.Gap()
	return gap
}
