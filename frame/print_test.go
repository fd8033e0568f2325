package frame_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
)

// TestPrintsNoContent: neither what goes over a message nor what reads one prints
// what is in it (G2).
func TestPrintsNoContent(t *testing.T) {
	const text = "Response: Success\r\nSecret: canary\r\n\r\n"
	f, err := frame.Parse(text)
	require.NoError(t, err)
	r := frame.NewReader(strings.NewReader(text+text), frame.Limits{})
	_, err = r.Next()
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.Equal(t, "cursor (2 lines left)", fmt.Sprintf(verb, f.Backward()))
		require.Equal(t, fmt.Sprintf("reader (%d bytes buffered)", len(text)), fmt.Sprintf(verb, r))
	}
}
