package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// appendForEver says what it has appended, and goes on until it is killed.
func appendForEver(dir string) {
	s, err := Open(dir, Options{MaxBytes: 1 << 30, SegmentBytes: 64 << 10})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := uint64(s.next); ; {
		entries := make([]Entry, 1+n%9)
		for i := range entries {
			entries[i] = entry(n, 500)
			n++
		}
		if err := s.Append(entries...); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n - 1)
	}
}

// TestKill: a process that is killed again and again, at any point, loses nothing
// for which Append has returned.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	said := uint64(0)
	for round := range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewReader(out)
		for count := 0; ; count++ {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			said, err = strconv.ParseUint(strings.TrimSpace(line), 10, 64)
			require.NoError(t, err, line)
			if count == 100+300*round {
				require.NoError(t, child.Process.Kill())
			}
		}
		require.Error(t, child.Wait(), "killed")

		s, err := Open(dir, tiny)
		require.NoError(t, err)
		require.GreaterOrEqual(t, uint64(s.next-1), said)
		require.NoError(t, s.Close())
	}
	s := open(t, dir, Options{})
	last := uint64(s.next - 1)
	for next := uint64(1); next <= last; {
		b, err := s.Read(t.Context(), 1000, 1<<20)
		require.NoError(t, err)
		require.Empty(t, b.Losses)
		for _, e := range b.Entries {
			require.Equal(t, next, number(t, e))
			next++
		}
		require.NoError(t, s.Ack(b.Last))
	}
	require.Greater(t, last, uint64(1000))
}

// copyOf is the directory as the death of the process would leave it.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// TestTruncated cuts the newest segment at each of its bytes.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxBytes: 16 << 10, SegmentBytes: 4 << 10})
	appendEntries(t, s, 1, 22, 200) // a segment and a bit
	require.Len(t, s.segments, 2)
	newest := s.segments[1]
	whole, err := os.ReadFile(newest.path)
	require.NoError(t, err)
	for cut := range len(whole) {
		dead := copyOf(t, dir)
		require.NoError(t, os.Truncate(filepath.Join(dead, filepath.Base(newest.path)), int64(cut)))
		s, err := Open(dead, tiny)
		require.NoError(t, err)
		if len(s.segments) == 2 {
			info, err := os.Stat(s.segments[1].path)
			require.NoError(t, err)
			require.Zero(t, (info.Size()-segmentHeader)%(200+4+entryHeader), "cut off")
		}
		left := uint64(newest.first) - 1 + uint64(max(0, cut-segmentHeader)/(200+4+entryHeader))
		appendEntries(t, s, left+1, left+2, 200)
		require.Equal(t, span(1, left+2), drain(t, s), cut)
		require.NoError(t, s.Close())
	}
}

// TestDamaged: of an entry that is damaged in the middle, it alone is lost.
func TestDamaged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		offset int64 // in entry 5
	}{{"checksum", 0}, {"length", 6}, {"position", 8}, {"group", 16}, {"data", 100}} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, tiny)
			appendEntries(t, s, 1, 40, 200)
			dead := copyOf(t, dir)
			flip(t, segmentPath(dead, 1), segmentHeader+4*(200+4+entryHeader)+tc.offset, 0x40)
			s = open(t, dead, tiny)
			var got []uint64
			var losses []Loss
			see := func(b Batch) {
				for _, e := range b.Entries {
					got = append(got, number(t, e))
				}
				losses = append(losses, b.Losses...)
			}
			batches(t, s, see)
			require.Equal(t, append(span(1, 4), span(6, 40)...), got)
			require.Equal(t, []Loss{{Unknown: true, Count: 1, First: 5, Last: 5}}, losses)
			require.Equal(t, uint64(1), s.Stats().Lost)
			require.NoError(t, s.Rewind())
			batches(t, s, see)
			require.Equal(t, uint64(1), s.Stats().Lost, "it is counted once")
		})
	}
}

// TestSegmentGone: somebody has removed a file.
func TestSegmentGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	appendEntries(t, s, 1, 60, 200)
	require.GreaterOrEqual(t, len(s.segments), 3)
	gone := s.segments[1]
	dead := copyOf(t, dir)
	require.NoError(t, os.Remove(filepath.Join(dead, filepath.Base(gone.path))))
	s = open(t, dead, tiny)
	var losses []Loss
	read := 0
	batches(t, s, func(b Batch) { losses, read = append(losses, b.Losses...), read+len(b.Entries) })
	require.Equal(t, []Loss{{Unknown: true, Count: uint64(gone.last - gone.first + 1), First: gone.first, Last: gone.last}}, losses)
	require.Equal(t, 60-int(losses[0].Count), read)
}

// TestStateDamaged: the position is not known any more, so that all is read again.
func TestStateDamaged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	appendEntries(t, s, 1, 10, 200)
	require.Equal(t, span(1, 10), drain(t, s))
	require.NoError(t, s.Ack(7))
	require.NoError(t, s.Close())
	s = open(t, copyOf(t, dir), tiny)
	require.Equal(t, span(8, 10), drain(t, s))
	flip(t, filepath.Join(dir, stateName), 25, 0x01)
	s = open(t, dir, tiny)
	require.Equal(t, span(1, 10), drain(t, s))
}

// TestDropsSurvive the death of the process, at each step of the drop.
func TestDropsSurvive(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxBytes: 16 << 10, SegmentBytes: 4 << 10})
	appendEntries(t, s, 1, 17, 200)
	before := copyOf(t, dir) // with the segment that will go
	for s.Stats().Lost == 0 {
		appendEntries(t, s, uint64(s.next), uint64(s.next), 200)
	}
	lost, next := s.Stats().Lost, uint64(s.next)
	check := func(t *testing.T, dir string) {
		s := open(t, dir, tiny)
		b, err := s.Read(t.Context(), 1000, 1<<20)
		require.NoError(t, err)
		counted := uint64(0)
		for _, l := range b.Losses {
			require.False(t, l.Unknown)
			counted += l.Count
		}
		require.Equal(t, lost, counted)
		require.Len(t, b.Losses, 3, "a loss for each group")
		require.Equal(t, lost+1, number(t, b.Entries[0]))
	}
	t.Run("done", func(t *testing.T) { check(t, copyOf(t, dir)) })
	t.Run("noted, not removed", func(t *testing.T) {
		dead := copyOf(t, dir)
		b, err := os.ReadFile(segmentPath(before, 1))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(segmentPath(dead, 1), b, 0o600))
		check(t, dead)
	})
	t.Run("closed", func(t *testing.T) {
		require.NoError(t, s.Close())
		check(t, dir)
	})
	require.Greater(t, next, lost)
}

func flip(t testing.TB, path string, offset int64, mask byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[offset] ^= mask
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// FuzzRecover damages any bytes of any file. What is read then is what was
// appended, in order, and what is missing is told: all but the end of the stream.
func FuzzRecover(f *testing.F) {
	dir := f.TempDir()
	s := open(f, dir, tiny)
	appendEntries(f, s, 1, 50, 200)
	for range 4 {
		_, err := s.Read(f.Context(), 1, 1)
		require.NoError(f, err)
	}
	require.NoError(f, s.Ack(3))
	require.NoError(f, s.Close())
	for seed := range uint64(20) {
		f.Add(seed, uint8(seed), uint16(seed*100))
	}
	f.Fuzz(func(t *testing.T, seed uint64, flips uint8, cut uint16) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		dead := copyOf(t, dir)
		files, err := filepath.Glob(filepath.Join(dead, "*"))
		require.NoError(t, err)
		for range flips {
			path := files[rnd.IntN(len(files))]
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				flip(t, path, rnd.Int64N(info.Size()), byte(1+rnd.IntN(255)))
			}
		}
		if path := files[rnd.IntN(len(files))]; seed%2 == 0 {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, min(int64(cut), info.Size())))
		}
		s, err := Open(dead, tiny)
		require.NoError(t, err)
		defer s.Close()
		next := s.acked + 1
		appended := s.next
		require.NoError(t, s.Append(entry(uint64(appended), 100)))
		batches(t, s, func(b Batch) {
			for _, l := range b.Losses {
				require.True(t, l.Unknown)
				require.Equal(t, next, l.First)
				require.Equal(t, l.Last, l.First+Position(l.Count)-1)
				next = l.Last + 1
			}
			for _, e := range b.Entries {
				require.Equal(t, uint64(next), number(t, e))
				next++
			}
		})
		require.Equal(t, appended+1, next)
	})
}

// TestOldest tells how far the reader is behind.
func TestOldest(t *testing.T) {
	s := open(t, t.TempDir(), tiny)
	require.Zero(t, s.Stats().Oldest)
	appendEntries(t, s, 1, 2, 10)
	s.marks[0].when = s.marks[0].when.Add(-time.Minute)
	appendEntries(t, s, 3, 4, 10)
	require.GreaterOrEqual(t, s.Stats().Oldest, time.Minute)
	require.Equal(t, span(1, 4), drain(t, s))
	require.NoError(t, s.Ack(2))
	require.Less(t, s.Stats().Oldest, time.Minute)
	require.NoError(t, s.Ack(4))
	require.Zero(t, s.Stats().Oldest)
}
