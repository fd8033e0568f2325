package spool

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTmpfs fills a real file system. Mounting needs root; TestFullDisk does the
// same everywhere.
func TestTmpfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	s := open(t, dir, Options{MaxBytes: 1 << 20, SegmentBytes: 32 << 10})
	appendEntries(t, s, 1, 5_000, 500)
	st := s.Stats()
	require.NotZero(t, st.Lost)
	require.Less(t, st.Bytes, int64(256<<10))
	entries, lost, numbers := counts(t, s)
	require.Equal(t, uint64(5_000), entries+lost)
	require.Equal(t, uint64(5_000), numbers[len(numbers)-1])
	require.Greater(t, entries, uint64(200))
	if err := s.Close(); err != nil { // the position may find no room: then all is read again, and nothing is missed
		require.ErrorIs(t, err, syscall.ENOSPC)
		s = open(t, dir, Options{MaxBytes: 1 << 20, SegmentBytes: 32 << 10})
		var again []uint64
		batches(t, s, func(b Batch) {
			for _, e := range b.Entries {
				again = append(again, number(t, e))
			}
		})
		require.NotEmpty(t, again)
		require.Equal(t, span(again[0], 5_000), again)
		_ = s.Close() // as before
	}
}
