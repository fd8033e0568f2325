package frame_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

// TestCursor: a Cursor yields what At does, backwards.
func TestCursor(t *testing.T) {
	for name, wire := range map[string]string{
		"event":           "Event: A\r\nKey: a\r\nno colon\r\nKey:  b\r\nEmpty:\r\n\r\n",
		"bare line feeds": "Event: A\nKey: a\n\n",
		"raw output":      "Response: Follows\r\nPrivilege: Command\r\nKey: is output\nmore\n--END COMMAND--\r\n\r\n",
		"wide":            "Response: Success\r\n" + strings.Repeat("Output: "+strings.Repeat("x", 700)+"\r\n", 100) + "\r\n",
		"one line":        "Event: A\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := frame.Parse(wire)
			require.NoError(t, err)
			c := f.Backward()
			for i := f.Len() - 1; i >= 0; i-- {
				require.Equal(t, i+1, c.Left())
				key, value := f.At(i)
				k, v := c.Prev()
				require.Equal(t, key, k)
				require.Equal(t, value, v)
			}
			require.Zero(t, c.Left())
			require.Panics(t, func() { c.Prev() })
		})
	}
	empty := new(frame.Frame).Backward()
	require.Zero(t, empty.Left())
}

// TestActionIDIsFirst: ActionID is what Get finds.
func TestActionIDIsFirst(t *testing.T) {
	for name, tc := range map[string]struct{ wire, want string }{
		"none":                   {"Event: A\r\nApplication: Dial\r\n\r\n", ""},
		"one":                    {"Event: A\r\nActionID: 1\r\n\r\n", "1"},
		"two":                    {"Event: A\r\nactionid: 1\r\nActionID: 2\r\n\r\n", "1"},
		"only its name":          {"Event: A\r\nActionID\r\nActionIDs: 1\r\n\r\n", ""},
		"empty":                  {"Event: A\r\nActionID:\r\nActionID: 2\r\n\r\n", ""},
		"before raw output":      {"Response: Follows\r\nActionID: 1\r\nout\n--END COMMAND--\r\n\r\n", "1"},
		"in raw output":          {"Response: Follows\r\nPrivilege: Command\r\nout\nActionID: 1\n--END COMMAND--\r\n\r\n", ""},
		"behind output":          {"Response: Success\r\nOutput: a\r\nActionID: 1\r\n\r\n", "1"},
		"first line":             {"ActionID: 1\r\nEvent: A\r\n\r\n", "1"},
		"of the message before":  {"Event: A\r\nKey: b\r\n\r\n", ""},
		"more headers behind it": {"Response: Success\r\nActionID: 7\r\n" + strings.Repeat("Accounts: x\r\n", 50) + "\r\n", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			r := frame.NewReader(strings.NewReader("Event: Before\r\nActionID: 9\r\n\r\n"+tc.wire), frame.Limits{})
			f, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, "9", f.ActionID())
			f, err = r.Next()
			require.NoError(t, err)
			require.Equal(t, tc.want, f.ActionID())
			require.Equal(t, f.Get("ActionID"), f.ActionID())
		})
	}
}
