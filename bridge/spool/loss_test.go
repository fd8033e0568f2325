package spool

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// lose makes a range in which the entries alternate between two groups.
func lose(first, last Position) *dropped {
	var buf []byte
	for pos := first; pos <= last; pos++ {
		buf = appendEntry(buf, pos, &Entry{Group: []string{"even", "odd"}[pos%2]})
	}
	return tallied(scan{buf: buf, prev: first - 1}, first, last)
}

func TestDroppedRanges(t *testing.T) {
	for _, tc := range []struct {
		name  string
		order [][2]Position
		read  Position
		want  [][2]Position
	}{
		{"apart", [][2]Position{{1, 4}, {9, 12}}, 0, [][2]Position{{1, 4}, {9, 12}}},
		{"behind", [][2]Position{{1, 4}, {5, 12}}, 0, [][2]Position{{1, 12}}},
		{"before", [][2]Position{{5, 12}, {1, 4}}, 0, [][2]Position{{1, 12}}},
		{"between", [][2]Position{{1, 4}, {9, 12}, {5, 8}}, 0, [][2]Position{{1, 12}}},
		{"told", [][2]Position{{1, 4}, {5, 12}}, 4, [][2]Position{{1, 4}, {5, 12}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var list []*dropped
			for _, r := range tc.order {
				list = addDropped(list, lose(r[0], r[1]), tc.read)
			}
			require.Len(t, list, len(tc.want))
			for i, r := range tc.want {
				require.Equal(t, lose(r[0], r[1]), list[i])
			}
		})
	}
}

func TestExplain(t *testing.T) {
	list := []*dropped{lose(1, 4), lose(9, 12)}
	require.Equal(t, []Loss{
		{Group: "even", Count: 4, First: 2, Last: 12},
		{Group: "odd", Count: 4, First: 1, Last: 11},
		{Unknown: true, Count: 5, First: 1, Last: 13},
	}, explain(list, 1, 13))
	require.Equal(t, []Loss{
		{Group: "even", Count: 2, First: 10, Last: 12},
		{Group: "odd", Count: 2, First: 9, Last: 11},
		{Unknown: true, Count: 4, First: 5, Last: 12},
	}, explain(list, 5, 12))
	require.Equal(t, []Loss{{Unknown: true, Count: 1, First: 7, Last: 7}}, explain(list, 7, 7))
}
