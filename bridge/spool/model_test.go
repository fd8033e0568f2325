package spool

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model is what a spool should be: a list that forgets nothing.
type model struct {
	t     *testing.T
	rnd   *rand.Rand
	spool *Spool
	dir   string

	groups      []string // of the entry at each position, from 1
	read, acked Position
	lost        map[string]uint64
	losses      int
}

// TestModel does at random what can be done to a spool that is too small. Every
// entry is read, in its order, or told as a loss of its group, exactly, just where
// it would have been.
func TestModel(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), groups: []string{""}, lost: make(map[string]uint64)}
			m.spool = open(t, m.dir, tiny)
			for range 600 {
				m.step()
			}
			for m.read < Position(len(m.groups)-1) {
				m.readBatch()
				m.ack(m.read)
			}
			require.NotZero(t, m.losses)
		})
	}
}

func (m *model) step() {
	switch n := m.rnd.IntN(100); {
	case n < 45:
		entries := make([]Entry, 1+m.rnd.IntN(12))
		for i := range entries {
			pos := uint64(len(m.groups))
			entries[i] = entry(pos, 8+m.rnd.IntN(700))
			m.groups = append(m.groups, entries[i].Group)
		}
		require.NoError(m.t, m.spool.Append(entries...))
		require.LessOrEqual(m.t, m.spool.Stats().Bytes, tiny.MaxBytes)
	case n < 80:
		m.readBatch()
	case n < 92:
		if m.read > m.acked {
			m.ack(m.read)
		}
	case n < 97:
		require.NoError(m.t, m.spool.Rewind())
		m.read = m.acked
	default:
		require.NoError(m.t, m.spool.Close())
		m.spool = open(m.t, m.dir, tiny)
		m.read = m.acked
	}
}

func (m *model) ack(pos Position) {
	require.NoError(m.t, m.spool.Ack(pos))
	m.acked = pos
}

func (m *model) readBatch() {
	if m.read == Position(len(m.groups)-1) {
		return
	}
	b, err := m.spool.Read(m.t.Context(), 1+m.rnd.IntN(20), 1+m.rnd.IntN(8000))
	if err != nil {
		require.ErrorIs(m.t, err, ErrUnacknowledged)
		return
	}
	first := b.Last + 1 - Position(len(b.Entries))
	missing := make(map[string]uint64)
	for pos := m.read + 1; pos < first; pos++ {
		missing[m.groups[pos]]++
	}
	told := make(map[string]uint64)
	for _, l := range b.Losses {
		require.False(m.t, l.Unknown)
		require.Equal(m.t, m.groups[l.First], l.Group)
		require.Equal(m.t, m.groups[l.Last], l.Group)
		require.GreaterOrEqual(m.t, l.First, m.read+1)
		require.Less(m.t, l.Last, first)
		told[l.Group] = l.Count
		m.losses++
	}
	require.Equal(m.t, missing, told)
	for i, e := range b.Entries {
		require.Equal(m.t, uint64(first)+uint64(i), number(m.t, e))
		require.Equal(m.t, first+Position(i), b.Position(i))
	}
	m.read = b.Last
}
