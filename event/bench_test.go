package event_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

// longest returns the event with this name that was recorded with most headers,
// but without channel variables: a list takes memory of its own.
func longest(t testing.TB, name string) event.Event {
	t.Helper()
	var found event.Event
	for _, recording := range captures.Names() {
		for e := range recorded(recording) {
			if e.Name() == name && !strings.Contains(e.Frame.Wire(), "ChanVariable") && (found.Frame == nil || e.Frame.Len() > found.Frame.Len()) {
				found = e
			}
		}
	}
	require.NotNil(t, found.Frame, name)
	return found
}

func decodeAs[T any, P event.Typed[T]](e event.Event) bool {
	_, ok := event.As[T, P](e)
	return ok
}

var hot = []struct {
	name   string
	decode func(event.Event) bool
}{
	{"Newchannel", decodeAs[event.Newchannel]},
	{"VarSet", decodeAs[event.VarSet]},
	{"Hangup", decodeAs[event.Hangup]},
	{"DialBegin", decodeAs[event.DialBegin]},
}

// BenchmarkDecode decodes the events that a call makes most of. "x-read" is the
// ratio of its time to that of reading the frame from a stream, in turns within
// one run; it is to stay below 2.
func BenchmarkDecode(b *testing.B) { // F1
	for _, bc := range hot {
		b.Run(bc.name, func(b *testing.B) {
			const batch = 100
			e := longest(b, bc.name)
			wire := strings.Repeat(e.Frame.Wire(), batch)
			var decode, read time.Duration
			for b.Loop() {
				start := time.Now()
				for range batch {
					bc.decode(e)
				}
				middle := time.Now()
				readAll(b, wire, batch)
				decode += middle.Sub(start)
				read += time.Since(middle)
			}
			events := float64(b.N) * batch
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(decode.Nanoseconds())/events, "ns/event")
			b.ReportMetric(testing.AllocsPerRun(batch, func() { bc.decode(e) }), "allocs/event")
			b.ReportMetric(float64(decode)/float64(read), "x-read")
		})
	}
}

func readAll(b *testing.B, wire string, want int) {
	b.Helper()
	r := frame.NewReader(strings.NewReader(wire), frame.Limits{})
	got := 0
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		}
		got++
	}
	if got != want {
		b.Fatalf("%d of %d frames", got, want)
	}
}

func TestDecodingAllocates(t *testing.T) { // F1: the struct and nothing else
	for _, tc := range hot {
		e := longest(t, tc.name)
		require.True(t, tc.decode(e))
		require.InDelta(t, 1, testing.AllocsPerRun(100, func() { tc.decode(e) }), 0, tc.name)
	}
}
