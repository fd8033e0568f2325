package lease

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What nats.go takes for a key, but for dots, that escape does not use.
var validKey = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+$`)

func TestEscape(t *testing.T) {
	for _, tc := range []struct{ name, key string }{
		{"pbx1", "pbx1"},
		{"pbx-1_a", "pbx-1_a"},
		{"pbx1.example.org", "pbx1=2Eexample=2Eorg"},
		{"10.0.0.1:5038", "10=2E0=2E0=2E1=3A5038"},
		{"a=2E", "a=3D2E"},
		{"> *", "=3E=20=2A"},
		{"ä", "=C3=A4"},
		{"\xff\x00", "=FF=00"},
	} {
		t.Run(tc.key, func(t *testing.T) {
			require.Equal(t, tc.key, escape(tc.name))
			name, ok := unescape(tc.key)
			require.True(t, ok)
			require.Equal(t, tc.name, name)
		})
	}
	for _, key := range []string{"", "a.b", "=", "=2", "=2e", "=41", "a=", "=ZZ", "ä", "a/b"} {
		_, ok := unescape(key)
		require.False(t, ok, key)
	}
}

// FuzzKey: names survive the way through a key, keys are valid and come from one
// name alone.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"pbx1", "a.b", "=2E", "", "ä\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" {
			key := escape(s)
			require.Regexp(t, validKey, key)
			name, ok := unescape(key)
			require.True(t, ok)
			require.Equal(t, s, name)
		}
		if name, ok := unescape(s); ok {
			require.Equal(t, s, escape(name))
		}
	})
}
