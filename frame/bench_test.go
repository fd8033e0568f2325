package frame_test

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

const flood, floodFrames = "6-flood-userevent-only-20000", 20_003

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

// BenchmarkRead reads the 20,000-event recording: "bound" is the function above,
// "frames" a Reader. "x-bound" is the ratio of the times that the two take, in
// turns within one run; it is to stay below 2.5.
func BenchmarkRead(b *testing.B) {
	stream := captures.Server(flood)
	for _, bc := range []struct {
		name string
		read func()
	}{
		{"bound", func() { bound(bytes.NewReader(stream)) }},
		{"frames", func() { readAll(bytes.NewReader(stream)) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				bc.read()
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			events := float64(b.N) * floodFrames
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/events, "ns/event")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/events, "B/event")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/events, "allocs/event")
		})
	}
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
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(full)/float64(bare), "x-bound")
	})
}

// TestBenchmark shows that the bound and the Reader see the same frames.
func TestBenchmark(t *testing.T) {
	stream := captures.Server(flood)
	n, last := bound(bytes.NewReader(stream))
	require.Equal(t, floodFrames, n)
	require.Equal(t, floodFrames, readAll(bytes.NewReader(stream)))
	require.True(t, strings.HasSuffix(string(stream), last))
}

func TestAllocationsPerEvent(t *testing.T) { // one: the frame with its bytes
	stream := captures.Server(flood)
	const own = floodFrames / 100 // the readers and buffers, which the pool may lose
	allocs := testing.AllocsPerRun(1, func() { readAll(bytes.NewReader(stream)) })
	require.LessOrEqual(t, allocs, float64(floodFrames+own))
}

// BenchmarkGet finds headers of an event with 21 of them.
func BenchmarkGet(b *testing.B) {
	r := frame.NewReader(bytes.NewReader(captures.Server(flood)), frame.Limits{})
	if _, err := r.Banner(); err != nil {
		b.Fatal(err)
	}
	var f *frame.Frame
	for f == nil || f.Kind() != frame.Event {
		var err error
		if f, err = r.Next(); err != nil {
			b.Fatal(err)
		}
	}
	for _, tc := range []struct{ name, key string }{
		{"early", "Event"}, {"middle", "connectedlinename"}, {"late", "Pad"}, {"absent", "Cause"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Get(tc.key)
			}
		})
	}
}
