package jetstream

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge"
)

// untoken is the inverse, which shows that no two texts have the same token.
func untoken(t *testing.T, s string) string {
	t.Helper()
	if s == "=" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			b.WriteByte(s[i])
			continue
		}
		require.Less(t, i+2, len(s), s)
		high, low := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
		require.GreaterOrEqual(t, min(high, low), 0, s)
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String()
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "=", "any", "=61ny", "a.b", "*", ">", " ", "é", "Takeover", "=54akeover"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		event := bridge.Record{Kind: bridge.KindEvent, Name: s}
		for _, got := range []string{token(s), nodeToken(s), nameToken(&event)} {
			require.Regexp(t, `^[a-zA-Z0-9_/=-]+$`, got)
			require.Equal(t, s, untoken(t, got))
		}
		require.NotEqual(t, anyNode, nodeToken(s))
		for _, kind := range []bridge.Kind{bridge.KindGap, bridge.KindState, bridge.KindTakeover} {
			require.NotEqual(t, nameToken(&bridge.Record{Kind: kind, Name: s}), nameToken(&event))
		}
	})
}

func TestAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"2.9.10": false, "2.10.29": false, "2.11.0": true, "2.11.0-preview.1": true, "2.15.2": true, "3.0.0": true, "": false, "dev": false,
	} {
		require.Equal(t, want, atLeast(version, 2, 11), version)
	}
}
