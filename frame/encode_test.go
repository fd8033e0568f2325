package frame_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

func TestAppendAction(t *testing.T) { // B6
	many := func(n int) []frame.Field {
		f := make([]frame.Field, n)
		for i := range f {
			f[i] = frame.Field{Key: "Variable", Value: "a=1"}
		}
		return f
	}
	for _, tc := range []struct {
		name, action string
		fields       []frame.Field
		want, refuse string
	}{
		{"plain", "Ping", nil, "Action: Ping\r\n\r\n", ""},
		{"fields in order", "A", []frame.Field{{Key: "B", Value: "1"}, {Key: "B", Value: ""}}, "Action: A\r\nB: 1\r\nB: \r\n\r\n", ""},
		{"UTF-8 and worse", "A", []frame.Field{{Key: "B", Value: "ü\xff:"}}, "Action: A\r\nB: ü\xff:\r\n\r\n", ""},
		{"no name", "", nil, "", "empty"},
		{"line feed in the name", "A\nB", nil, "", "CR, LF or NUL"},
		{"CR in a value", "A", []frame.Field{{Key: "B", Value: "x\rAction: y"}}, "", "CR, LF or NUL"},
		{"LF in a value", "A", []frame.Field{{Key: "B", Value: "x\nAction: y"}}, "", "CR, LF or NUL"},
		{"NUL in a value", "A", []frame.Field{{Key: "B", Value: "x\x00"}}, "", "CR, LF or NUL"},
		{"LF in a key", "A", []frame.Field{{Key: "B\n", Value: "x"}}, "", "CR, LF, NUL or colon"},
		{"colon in a key", "A", []frame.Field{{Key: "B:c", Value: "x"}}, "", "CR, LF, NUL or colon"},
		{"empty key", "A", []frame.Field{{Value: "x"}}, "", "empty"},
		{"second Action", "A", []frame.Field{{Key: "aCTION", Value: "x"}}, "", "already"},
		{"longest line", "A", []frame.Field{{Key: "B", Value: strings.Repeat("x", 1019)}}, "Action: A\r\nB: " + strings.Repeat("x", 1019) + "\r\n\r\n", ""},
		{"line too long", "A", []frame.Field{{Key: "B", Value: strings.Repeat("x", 1020)}}, "", "1023 bytes"},
		{"name too long", strings.Repeat("x", 1015), nil, "", "1023 bytes"},
		{"most headers", "A", many(127), "Action: A\r\n" + strings.Repeat("Variable: a=1\r\n", 127) + "\r\n", ""},
		{"too many headers", "A", many(128), "", "129 headers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := frame.AppendAction([]byte("before"), tc.action, tc.fields)
			if tc.refuse == "" {
				require.NoError(t, err)
				require.Equal(t, "before"+tc.want, string(got))
				return
			}
			var e *frame.EncodeError
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, tc.refuse)
			require.Equal(t, "before", string(got))
			require.NotContains(t, err.Error(), "\n")
		})
	}
}
