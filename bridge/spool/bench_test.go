package spool

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkSpool appends, reads and acknowledges batches of 100 entries of 500
// bytes; "file" only writes the same bytes: the bound.
func BenchmarkSpool(b *testing.B) {
	const batch = 100
	entries := make([]Entry, batch)
	for i := range entries {
		entries[i] = entry(uint64(i), 500)
	}
	b.Run("spool", func(b *testing.B) {
		s := open(b, b.TempDir(), Options{})
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if err := s.Append(entries...); err != nil {
				b.Fatal(err)
			}
			got, err := s.Read(b.Context(), batch, 1<<20)
			if err != nil || len(got.Entries) != batch {
				b.Fatal(err, len(got.Entries))
			}
			if err := s.Ack(got.Last); err != nil {
				b.Fatal(err)
			}
			n += batch
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("behind", func(b *testing.B) { // the reader has to get all from the disk
		s := open(b, b.TempDir(), Options{MaxBytes: 1 << 30})
		for range 1 << 9 {
			if err := s.Append(entries...); err != nil {
				b.Fatal(err)
			}
		}
		n := 0
		for b.Loop() {
			if s.unread() < 1<<14 {
				if err := s.Rewind(); err != nil {
					b.Fatal(err)
				}
			}
			got, err := s.Read(b.Context(), batch, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			n += len(got.Entries)
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("file", func(b *testing.B) {
		var buf []byte
		for i := range entries {
			buf = appendEntry(buf, Position(i), &entries[i])
		}
		var f *os.File
		dir := b.TempDir()
		n := 0
		for b.Loop() {
			if n%(batch*300) == 0 { // as many bytes as a segment has
				if f != nil {
					_ = f.Close()
				}
				var err error
				if f, err = os.Create(filepath.Join(dir, "file")); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := f.Write(buf); err != nil {
				b.Fatal(err)
			}
			n += batch
		}
		_ = f.Close()
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
}
