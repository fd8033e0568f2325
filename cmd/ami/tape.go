package main

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/event"
)

// A tape writes what a node sends to a file. It belongs to one goroutine at a time,
// but for the counters.
type tape struct {
	file   *os.File
	client *ami.Client
	w      *recording.Writer // nil before begin
	start  time.Time
	length time.Duration

	events atomic.Uint64
	bytes  atomic.Int64 // of the events

	lost, gaps, discarded uint64
}

// begin begins the recording of a node that is logged in. A file that was there is
// emptied only now.
func (t *tape) begin(client *ami.Client) error {
	t.client, t.start = client, time.Now()
	if err := t.file.Truncate(0); err != nil {
		return err
	}
	w, err := recording.NewWriter(t.file, recording.Header{
		Node: client.Node().Key, Banner: client.Stats().Banner, Start: t.start.UTC().Truncate(time.Microsecond),
	})
	if err != nil {
		return err
	}
	t.w = w
	return nil
}

// run writes events until the channel ends, there are so many, or the file takes no
// more. What was written goes out as soon as there is nothing more to write.
func (t *tape) run(events <-chan event.Event, most int) error {
	for {
		var e event.Event
		var ok bool
		select {
		case e, ok = <-events:
		default:
			if err := t.w.Flush(); err != nil {
				return err
			}
			e, ok = <-events
		}
		if !ok {
			return nil
		}
		if err := t.write(e); err != nil {
			return err
		}
		if most > 0 && t.events.Load() >= uint64(most) {
			return nil
		}
	}
}

// write writes an event or a gap, and before it how many are missing.
func (t *tape) write(e event.Event) error {
	at := e.Time.Sub(t.start)
	if err := t.w.Lost(at, e.Lost); err != nil {
		return err
	}
	t.lost += e.Lost
	if gap, ok := e.Gap(); ok {
		if gap.Final() { // it was the recorder that left
			return nil
		}
		t.gaps++
		return t.w.Gap(at, recording.Gap{From: gap.From, To: gap.To, DownMS: millis(gap.Down), Reason: gap.Reason.Error()})
	}
	wire := t.client.Redact(e.Frame)
	if err := t.w.Event(at, wire); err != nil {
		return err
	}
	t.events.Add(1)
	t.bytes.Add(int64(len(wire)))
	return nil
}

// dropped notes that so many events were dropped in all, behind the last one too.
func (t *tape) dropped(all uint64) {
	if all > t.lost {
		_ = t.w.Lost(time.Since(t.start), all-t.lost) // end says what failed
		t.lost = all
	}
}

// end ends the recording, if err has not done so. What was written of a record that is
// not whole is cut off.
func (t *tape) end(err error, discarded uint64) error {
	t.length, t.discarded = time.Since(t.start), discarded
	if err == nil {
		err = t.w.End(t.length, recording.End{Events: t.events.Load(), Lost: t.lost, Gaps: t.gaps, Discarded: discarded})
	}
	if err != nil {
		_ = t.file.Truncate(t.w.Kept()) // a reader copes with the rest as well
	}
	return err
}
