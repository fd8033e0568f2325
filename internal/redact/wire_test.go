package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/captures"
)

func TestWire(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	for _, tc := range []struct{ name, wire, want string }{
		{"nothing", "Event: Hangup\r\nCause: 17\r\n\r\n", "Event: Hangup\r\nCause: 17\r\n\r\n"},
		{"a header", "Event: AuthDetail\r\nPassword: canary\r\nRealm: x\r\n\r\n", "Event: AuthDetail\r\nPassword: [redacted]\r\nRealm: x\r\n\r\n"},
		{"several", "Event: X\r\nToken: canary\r\nA: 1\r\nSecret:canary\r\n\r\n", "Event: X\r\nToken: [redacted]\r\nA: 1\r\nSecret:[redacted]\r\n\r\n"},
		{"the last one, bare line ends", "Event: X\nA: 1\nSecret: canary\n\n", "Event: X\nA: 1\nSecret: [redacted]\n\n"},
		{"value beside its variable", "Event: VarSet\r\nVariable: API_TOKEN\r\nValue: canary\r\n\r\n", "Event: VarSet\r\nVariable: API_TOKEN\r\nValue: [redacted]\r\n\r\n"},
		{"value of several lines", "Event: X\r\nSecret: canary\r\ncanary\r\ncanary\r\nA: 1\r\nb\r\n\r\n", "Event: X\r\nSecret: [redacted]\r\n[redacted]\r\n[redacted]\r\nA: 1\r\nb\r\n\r\n"},
		{"empty", "Event: X\r\nSecret: \r\n\r\n", "Event: X\r\nSecret: \r\n\r\n"},
		{"old command output", "Response: Follows\r\nPrivilege: Command\r\nsecret=canary\n--END COMMAND--\r\n\r\n", "Response: Follows\r\nPrivilege: Command\r\nsecret=[redacted]\n--END COMMAND--\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := frame.NewReader(strings.NewReader(tc.wire), frame.Limits{}).Next()
			require.NoError(t, err)
			require.Equal(t, tc.want, p.Wire(f, ""))
		})
	}
}

// TestWireOfRecordings: what is left is a message with the same names, and with the
// values that Headers shows.
func TestWireOfRecordings(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	changed := 0
	for _, name := range captures.Names() {
		r := frame.NewReader(strings.NewReader(string(captures.Server(name))), frame.Limits{})
		_, _ = r.Banner() // some have none
		for f, err := r.Next(); err == nil; f, err = r.Next() {
			wire := p.Wire(f, "")
			again, err := frame.NewReader(strings.NewReader(wire), frame.Limits{}).Next()
			// Without require: there are many thousands.
			if err != nil || f.Len() != again.Len() || wire != again.Wire() || p.Headers(f.All()) != p.Headers(again.All()) {
				t.Fatalf("%q became %q: %v", f.Wire(), wire, err)
			}
			if wire != f.Wire() {
				changed++
			}
		}
	}
	require.Greater(t, changed, 10)
}

// TestWireOfSecret: the secret itself is hidden in names and values, but nothing that
// makes the message another one.
func TestWireOfSecret(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	for _, tc := range []struct{ name, wire, want string }{
		{"value", "Event: X\r\nNote: a canary b\r\n\r\n", "Event: X\r\nNote: a [redacted] b\r\n\r\n"},
		{"name", "Event: X\r\nxcanary: 1\r\n\r\n", "Event: X\r\nx[redacted]: 1\r\n\r\n"},
		{"across the colon", "Event: X\r\nx:y: 1\r\n\r\n", "Event: X\r\n[redacted]: 1\r\n\r\n"},
		{"first header", "Event: canary\r\n\r\n", "Event: [redacted]\r\n\r\n"},
		{"name of the first header", "Event: vent\r\nvent: 1\r\n\r\n", "Event: [redacted]\r\n[redacted]: 1\r\n\r\n"},
		{"text", "Event: X\r\ncanary\r\n\r\n", "Event: X\r\n[redacted]\r\n\r\n"},
		{"none", "Event: X\r\nNote: canar\r\n\r\n", "Event: X\r\nNote: canar\r\n\r\n"},
	} {
		secret := "canary"
		switch {
		case strings.Contains(tc.wire, "vent: 1"):
			secret = "vent"
		case strings.Contains(tc.wire, "x:y"):
			secret = "x:y"
		}
		t.Run(tc.name, func(t *testing.T) {
			f, err := frame.NewReader(strings.NewReader(tc.wire), frame.Limits{}).Next()
			require.NoError(t, err)
			require.Equal(t, tc.want, p.Wire(f, secret))
		})
	}
}
