package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const childEnv = "AMI_SPOOL_CHILD" // the directory in which the test binary plays a process that dies

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		appendForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

// open opens a spool that is closed at the end of the test.
func open(t testing.TB, dir string, o Options) *Spool {
	t.Helper()
	s, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// entry returns the n-th entry of a stream, which names itself.
func entry(n uint64, size int) Entry {
	data := binary.LittleEndian.AppendUint64(nil, n)
	for len(data) < size {
		data = append(data, byte(n)^byte(len(data)))
	}
	return Entry{Group: fmt.Sprintf("pbx%d", n%3), Data: data}
}

// number checks an entry and returns which it is.
func number(t testing.TB, e Entry) uint64 {
	t.Helper()
	require.GreaterOrEqual(t, len(e.Data), 8)
	n := binary.LittleEndian.Uint64(e.Data)
	require.Equal(t, entry(n, len(e.Data)), e)
	return n
}

func appendEntries(t testing.TB, s *Spool, first, last uint64, size int) {
	t.Helper()
	for n := first; n <= last; n++ {
		require.NoError(t, s.Append(entry(n, size)))
	}
}

// drain reads all that is there, in batches, and returns the numbers. Losses are
// checked to be none.
func drain(t testing.TB, s *Spool) (numbers []uint64) {
	t.Helper()
	batches(t, s, func(b Batch) {
		require.Empty(t, b.Losses)
		for _, e := range b.Entries {
			numbers = append(numbers, number(t, e))
		}
	})
	return numbers
}

// batches reads until the end.
func batches(t testing.TB, s *Spool, see func(Batch)) {
	t.Helper()
	for s.unread() > 0 {
		b, err := s.Read(context.Background(), 7, 1<<20)
		require.NoError(t, err)
		see(b)
	}
}

func (s *Spool) unread() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next - 1 - s.read
}

// span returns first to last.
func span(first, last uint64) (numbers []uint64) {
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

var tiny = Options{MaxBytes: 64 << 10, SegmentBytes: 4 << 10, MemoryBytes: 8 << 10}
