package spool

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A disk is one that the test makes fail.
type disk struct {
	dir  string
	room int64 // bytes for segments; the rest of a write is refused with ENOSPC
	err  error // what every write returns
}

func (d *disk) write(f *os.File, b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	used := int64(0)
	files, _ := filepath.Glob(filepath.Join(d.dir, "*"+segmentSuffix))
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			used += info.Size()
		}
	}
	if free := d.room - used; int64(len(b)) > free {
		n, _ := f.Write(b[:max(free, 0)])
		return n, syscall.ENOSPC
	}
	return f.Write(b)
}

func withDisk(t *testing.T, room int64) (*Spool, *disk) {
	t.Helper()
	d := &disk{dir: t.TempDir(), room: room}
	o := tiny
	o.write = d.write
	return open(t, d.dir, o), d
}

// counts reads all and returns how many entries came and how many are told to be
// lost.
func counts(t *testing.T, s *Spool) (entries, lost uint64, numbers []uint64) {
	t.Helper()
	batches(t, s, func(b Batch) {
		for _, l := range b.Losses {
			require.False(t, l.Unknown)
			lost += l.Count
		}
		for _, e := range b.Entries {
			numbers = append(numbers, number(t, e))
		}
		require.NoError(t, s.Ack(b.Last))
	})
	require.IsIncreasing(t, numbers)
	return uint64(len(numbers)), lost, numbers
}

// TestFullDisk with less room than MaxBytes: the oldest segments go.
func TestFullDisk(t *testing.T) {
	s, _ := withDisk(t, 20<<10)
	appendEntries(t, s, 1, 500, 200)
	require.Zero(t, s.Stats().InMemory)
	require.NotZero(t, s.Stats().Lost)
	onDisk := int64(0)
	for _, seg := range s.segments {
		info, err := os.Stat(seg.path)
		require.NoError(t, err)
		onDisk += info.Size()
	}
	require.Equal(t, onDisk, s.Stats().Bytes, "nothing is left of writes that have failed")
	entries, lost, numbers := counts(t, s)
	require.Equal(t, uint64(500), entries+lost)
	require.Equal(t, uint64(500), numbers[len(numbers)-1])
	require.Greater(t, entries, uint64(40))
}

// TestDiskRefuses: entries stay in memory, in order, and get to the disk when it
// is well again.
func TestDiskRefuses(t *testing.T) {
	for _, refusal := range []error{syscall.EIO, syscall.EROFS} {
		t.Run(refusal.Error(), func(t *testing.T) {
			s, d := withDisk(t, 1<<20)
			appendEntries(t, s, 1, 10, 200)
			d.err = refusal
			for n := uint64(11); n <= 20; n++ {
				err := s.Append(entry(n, 200))
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, "write", e.Op)
				require.ErrorIs(t, err, refusal)
			}
			require.Equal(t, uint64(10), s.Stats().InMemory)
			require.ErrorIs(t, s.Stats().Failure, refusal)
			require.Equal(t, span(1, 20), drain(t, s), "they are there to be read")
			require.NoError(t, s.Rewind())
			d.err = nil
			s.appending.Lock()
			s.retryAt = s.retryAt.Add(-2 * retryAfter)
			s.appending.Unlock()
			appendEntries(t, s, 21, 21, 200)
			require.Zero(t, s.Stats().InMemory)
			require.NoError(t, s.Stats().Failure)
			dead := open(t, copyOf(t, d.dir), tiny)
			require.Equal(t, span(1, 21), drain(t, dead), "all are on the disk")
			require.Equal(t, span(1, 21), drain(t, s))
		})
	}
}

// TestSync: nil says that all is on the disk.
func TestSync(t *testing.T) {
	s, d := withDisk(t, 1<<20)
	require.NoError(t, s.Sync(), "there is nothing")
	require.NoError(t, s.Append(entry(1, 200)))
	require.NoError(t, s.Sync())
	require.False(t, s.segments[0].dirty)
	d.err = syscall.EIO
	require.Error(t, s.Append(entry(2, 200)))
	require.ErrorIs(t, s.Sync(), syscall.EIO, "it is in memory")
}

// TestTail: a loss has the beginning of its last entry, also in the next process.
func TestTail(t *testing.T) {
	s, d := withDisk(t, 20<<10)
	appendEntries(t, s, 1, 500, 200)
	lost := s.Stats().Lost
	require.NotZero(t, lost)
	check := func(s *Spool) {
		b, err := s.Read(t.Context(), 1, 1)
		require.NoError(t, err)
		require.Len(t, b.Losses, 3)
		for _, l := range b.Losses {
			require.Equal(t, entry(uint64(l.Last), 200).Data[:TailBytes], l.Tail)
		}
	}
	dead := open(t, copyOf(t, d.dir), tiny)
	check(dead)
	check(s)
}

// TestMemoryIsBounded: the oldest make room, and are told.
func TestMemoryIsBounded(t *testing.T) {
	s, d := withDisk(t, 1<<20)
	d.err = io.ErrShortWrite
	for n := uint64(1); n <= 10; n++ {
		require.Error(t, s.Append(entry(n, 200)))
	}
	b, err := s.Read(t.Context(), 5, 1<<20)
	require.NoError(t, err)
	require.Len(t, b.Entries, 5)
	for n := uint64(11); n <= 200; n++ {
		require.Error(t, s.Append(entry(n, 200)))
	}
	require.LessOrEqual(t, s.pending, tiny.MemoryBytes)
	require.Equal(t, 200-s.Stats().Lost, s.Stats().InMemory)
	lost := s.Stats().Lost
	require.Greater(t, lost, uint64(100))

	require.NoError(t, s.persistDropped())
	dead := open(t, copyOf(t, d.dir), tiny)
	require.NoError(t, dead.Append(entry(1, 10)))
	b, err = dead.Read(t.Context(), 5, 1<<20)
	require.NoError(t, err)
	require.Len(t, b.Losses, 4)
	require.Equal(t, lost, b.Losses[0].Count+b.Losses[1].Count+b.Losses[2].Count)
	require.Equal(t, Loss{Unknown: true, Count: 5, First: 1, Last: Position(lost + 5)}, b.Losses[3])

	require.NoError(t, s.Rewind())
	entries, told, numbers := counts(t, s)
	require.Equal(t, lost, told)
	require.Equal(t, uint64(200), entries+told)
	require.Equal(t, span(1, 5), numbers[:5], "what was being published was not dropped")
	require.Zero(t, s.Stats().InMemory, "acknowledged")
	require.NoError(t, s.Close(), "nothing is left that could not be written")
}

// TestCloseTells what it could not write.
func TestCloseTells(t *testing.T) {
	s, d := withDisk(t, 1<<20)
	d.err = syscall.EIO
	require.Error(t, s.Append(entry(1, 10)))
	require.ErrorIs(t, s.Close(), syscall.EIO)
	open(t, d.dir, tiny) // it is free
}

// TestUnreadable: a segment that cannot be read is reported, and at last lost.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	appendEntries(t, s, 1, 60, 200)
	first := s.segments[0]
	dead := copyOf(t, dir)
	s = open(t, dead, tiny)
	path := segmentPath(dead, 1)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700)) // reading it is EISDIR
	for range 2 {
		_, err := s.Read(t.Context(), 1, 1)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "read", e.Op)
	}
	b, err := s.Read(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Equal(t, []Loss{{Unknown: true, Count: uint64(first.last), First: 1, Last: first.last}}, b.Losses)
}

// TestFullForOthers: if the disk stays full whatever is dropped, most of the
// spool stays.
func TestFullForOthers(t *testing.T) {
	s, d := withDisk(t, 1<<20)
	appendEntries(t, s, 1, 100, 200)
	d.err = syscall.ENOSPC
	require.ErrorIs(t, s.Append(entry(101, 200)), syscall.ENOSPC)
	lost := s.Stats().Lost
	require.NotZero(t, lost)
	require.LessOrEqual(t, lost, uint64(40), "two segments")
	s.appending.Lock()
	require.NotZero(t, s.retryAt)
	s.retryAt = s.retryAt.Add(time.Hour) // a busy machine
	s.appending.Unlock()
	require.ErrorIs(t, s.Append(entry(102, 200)), syscall.ENOSPC)
	require.Equal(t, lost, s.Stats().Lost, "it is not tried at each append")
	entries, told, _ := counts(t, s)
	require.Equal(t, lost, told)
	require.Equal(t, uint64(102), entries+told)
}
