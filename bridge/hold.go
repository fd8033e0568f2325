package bridge

import (
	"time"

	"github.com/apn/ami/event"
)

// A hold is the time for which this process has a node, from its arrival in the
// cluster to its final gap. The journal's lock guards it.
type hold struct {
	node     string
	instance string
	group    string // of its entries in the spool
	token    uint64
	epoch    uint64 // of the session whose events come now
	seq      uint64 // of the last record
	at       time.Time
	heard    uint64    // Event.Seq of the last event
	since    time.Time // what was received earlier is of another hold
	before   *last     // what is known of an earlier hold, until that has been told
	pending  bool      // it is among those of the batch
	over     chan struct{}
}

func newHold(instance, node string) *hold {
	return &hold{node: node, instance: instance, group: groupOf(instance, node), epoch: 1, over: make(chan struct{})}
}

func groupOf(instance, node string) string { return instance + "/" + node }

// last returns where the hold is.
func (h *hold) last() last {
	return last{Instance: h.instance, Epoch: h.epoch, Seq: h.seq, Time: h.at}
}

// hear returns how many events of the node were dropped before e. Its numbers
// have no holes: the subscription takes all.
func (h *hold) hear(e *event.Event) (missing uint64) {
	if e.Seq > h.heard {
		missing = e.Seq - h.heard - 1
		h.heard = e.Seq
	}
	return missing
}
