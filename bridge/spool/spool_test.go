package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOrderAckReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	appendEntries(t, s, 1, 100, 200)
	b, err := s.Read(t.Context(), 40, 1<<20)
	require.NoError(t, err)
	require.Len(t, b.Entries, 40)
	require.Equal(t, Position(40), b.Last)
	require.Equal(t, Position(1), b.Position(0))
	require.NoError(t, s.Ack(30))
	require.NoError(t, s.Ack(10), "that is known")
	require.ErrorIs(t, s.Ack(41), ErrNotRead)
	require.NoError(t, s.Rewind())
	require.ErrorIs(t, s.Ack(31), ErrNotRead)
	require.Equal(t, span(31, 100), drain(t, s))
	require.NoError(t, s.Ack(77))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())

	s = open(t, dir, tiny)
	appendEntries(t, s, 101, 120, 200)
	require.Equal(t, span(78, 120), drain(t, s))
	require.Equal(t, uint64(43), s.Stats().Entries)
	require.NoError(t, s.Ack(120))
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	require.NoError(t, err)
	require.Empty(t, files, "everything is acknowledged")

	s = open(t, dir, tiny)
	appendEntries(t, s, 121, 121, 200)
	b, err = s.Read(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Equal(t, Position(121), b.Last, "positions go on")
}

func TestReadBounds(t *testing.T) {
	s := open(t, t.TempDir(), tiny)
	require.NoError(t, s.Append(entry(1, 100), entry(2, 100), entry(3, 100)))
	for _, tc := range []struct{ entries, bytes, want int }{{0, 0, 1}, {1, 1000, 1}, {9, 99, 1}, {9, 199, 1}, {9, 200, 2}, {2, 1000, 2}, {9, 300, 3}} {
		require.NoError(t, s.Rewind())
		b, err := s.Read(t.Context(), tc.entries, tc.bytes)
		require.NoError(t, err)
		require.Len(t, b.Entries, tc.want, "%+v", tc)
	}
}

func TestReadWaits(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	type result struct {
		Batch
		error
	}
	read := func(ctx context.Context) chan result {
		c := make(chan result, 1)
		go func() {
			b, err := s.Read(ctx, 10, 1000)
			c <- result{b, err}
		}()
		return c
	}
	got := read(t.Context())
	require.NoError(t, s.Append(entry(1, 10)))
	r := <-got
	require.NoError(t, r.error)
	require.Equal(t, uint64(1), number(t, r.Entries[0]))

	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	got = read(ctx)
	cancel(cause)
	require.ErrorIs(t, (<-got).error, cause)

	got = read(t.Context())
	require.NoError(t, s.Close())
	require.ErrorIs(t, (<-got).error, ErrClosed)
	require.ErrorIs(t, s.Append(entry(2, 10)), ErrClosed)
	require.ErrorIs(t, s.Ack(1), ErrClosed)
	require.ErrorIs(t, s.Rewind(), ErrClosed)
}

// TestAckIsWritten without Close, and what it covers is removed.
func TestAckIsWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	appendEntries(t, s, 1, 100, 200)
	require.Equal(t, span(1, 100), drain(t, s))
	require.NoError(t, s.Ack(90))
	require.Eventually(t, func() bool {
		st, err := readState(dir)
		return err == nil && st.Acked == 90 && s.Stats().Segments <= 2
	}, 2*time.Minute, 10*time.Millisecond)
	_, err := os.Stat(segmentPath(dir, 1))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestConfigErrors(t *testing.T) {
	for key, o := range map[string]Options{
		"SegmentBytes": {SegmentBytes: 1},
		"MaxBytes":     {MaxBytes: 3 << 20, SegmentBytes: 1 << 20},
		"MemoryBytes":  {MemoryBytes: -1},
		"Sync":         {Sync: time.Hour},
	} {
		_, err := Open(t.TempDir(), o)
		var config *ConfigError
		require.ErrorAs(t, err, &config)
		require.Equal(t, key, config.Key)
	}
	o, err := Options{MaxBytes: 1 << 20}.checked()
	require.NoError(t, err)
	require.Equal(t, int64(128<<10), o.SegmentBytes)
}

func TestTooLarge(t *testing.T) {
	s := open(t, t.TempDir(), tiny)
	most := int(s.options.SegmentBytes) - segmentHeader - entryHeader - len("pbx1")
	var large *TooLargeError
	require.ErrorAs(t, s.Append(entry(2, 10), entry(1, most+1)), &large)
	require.Equal(t, large.Max+1, large.Bytes)
	require.ErrorAs(t, s.Append(Entry{Group: string(make([]byte, 1<<16))}), &large)
	require.Zero(t, s.Stats().Entries, "nothing was taken")
	require.NoError(t, s.Append(entry(1, most)))
	require.Equal(t, span(1, 1), drain(t, s))
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, tiny)
	_, err := Open(dir, tiny)
	require.ErrorIs(t, err, ErrLocked)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "lock", e.Op)
	require.NoError(t, s.Close())
	open(t, dir, tiny)
}

func TestNewerFormat(t *testing.T) {
	head := binary.LittleEndian.AppendUint32([]byte(magic), formatVersion+1)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	line := `{"version":2}`
	for name, content := range map[string]string{
		"00000000000000000007" + segmentSuffix: string(head) + "whatever",
		stateName:                              line + "\n" + checksum(line),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Open(dir, tiny)
		require.ErrorIs(t, err, ErrNewer)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(b), "untouched")
	}
}

// TestUnacknowledged: what is in flight cannot be dropped, so there must not be
// too much of it.
func TestUnacknowledged(t *testing.T) {
	s := open(t, t.TempDir(), tiny)
	appendEntries(t, s, 1, 260, 200)
	var err error
	var b Batch
	for n := 0; err == nil; n++ {
		require.Less(t, n, 260)
		var next Batch
		if next, err = s.Read(t.Context(), 1, 1); err == nil {
			b = next
		}
	}
	require.ErrorIs(t, err, ErrUnacknowledged)
	require.NoError(t, s.Ack(b.Last))
	_, err = s.Read(t.Context(), 1, 1)
	require.NoError(t, err)
}

// TestBehindTheCache: the reader gets from the disk what is no longer in memory,
// also out of the segment that is being written, and finds its way back.
func TestBehindTheCache(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxBytes: 256 << 20, SegmentBytes: 32 << 20})
	const size, n = 10_000, 3_000 // 30 MB
	appendEntries(t, s, 1, n, size)
	require.NotZero(t, s.chunks[0].first-1, "there is less in memory")
	next := uint64(1)
	for s.unread() > 0 {
		b, err := s.Read(t.Context(), 50, 1<<20)
		require.NoError(t, err)
		for _, e := range b.Entries {
			require.Equal(t, next, number(t, e))
			next++
		}
		if last := s.next; last < 6_000 {
			appendEntries(t, s, uint64(last), uint64(last)+20, size)
		}
	}
	require.GreaterOrEqual(t, next, uint64(4_000))
}
