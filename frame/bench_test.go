package frame_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

const flood, floodEvents = "6-flood-userevent-only-20000", 20_001

// bound finds the frame ends in the stream, in reads of 16 KiB, and copies each
// frame into one string: what no reader that keeps frames can do without.
func bound(src io.Reader) (frames int, last string) {
	buf := make([]byte, 16<<10)
	start, scan, end, line := 0, 0, 0, 0
	for {
		for {
			i := bytes.IndexByte(buf[scan:end], '\n')
			if i < 0 {
				scan = end
				break
			}
			nl := scan + i
			if nl-line <= 1 {
				last = string(buf[start : nl+1])
				frames++
				start = nl + 1
			}
			line, scan = nl+1, nl+1
		}
		copy(buf, buf[start:end])
		line, scan, end, start = line-start, scan-start, end-start, 0
		n, err := src.Read(buf[end:])
		if err != nil {
			return frames, last
		}
		end += n
	}
}

func readAll(src io.Reader) (frames int) {
	r := frame.NewReader(src, frame.Limits{})
	for {
		if _, err := r.Next(); err != nil {
			return frames
		}
		frames++
	}
}

// BenchmarkRead reads the 20,000-event recording. "x-bound" is the ratio of the
// time that frames take to that of the bound, in turns within one run.
func BenchmarkRead(b *testing.B) {
	stream := captures.Server(flood)
	b.Run("bound", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bound(bytes.NewReader(stream))
		}
		perEvent(b)
	})
	b.Run("frames", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readAll(bytes.NewReader(stream))
		}
		perEvent(b)
	})
	b.Run("ratio", func(b *testing.B) {
		var bare, full time.Duration
		for b.Loop() {
			start := time.Now()
			bound(bytes.NewReader(stream))
			middle := time.Now()
			readAll(bytes.NewReader(stream))
			bare += middle.Sub(start)
			full += time.Since(middle)
		}
		b.ReportMetric(float64(full)/float64(bare), "x-bound")
	})
}

func perEvent(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/floodEvents, "ns/event")
}

func TestAllocationsPerEvent(t *testing.T) { // two: the frame and its bytes
	stream := captures.Server(flood)
	allocs := testing.AllocsPerRun(1, func() { readAll(bytes.NewReader(stream)) })
	if perEvent := allocs / floodEvents; perEvent > 2.01 {
		t.Fatalf("%.2f allocations per event", perEvent)
	}
}

func BenchmarkGet(b *testing.B) {
	f, err := frame.Parse(string(captures.Server("6-call-flow-dial")[1500:2300]))
	if err != nil {
		b.Fatal(err)
	}
	for _, key := range []string{"Event", "Uniqueid", "Linkedid", "Absent"} {
		b.Run(key, func(b *testing.B) {
			for b.Loop() {
				f.Get(key)
			}
		})
	}
}
