package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzText holds that a value that is assigned to a secret does not come out,
// whatever surrounds it, and that nothing is hidden twice.
func FuzzText(f *testing.F) { // G2
	for _, seed := range [][2]string{
		{"", ""},
		{`{"user":"bob",`, `"}`},
		{`password "`, `"`},
		{`key:"`, `" x`},
		{`key "a b" `, "\r\n"},
		{"HASH(tokens,", ")=x"},
		{"A=1,B=", `\,`},
		{"database put app ", " x"},
		{`\"secret\":\"`, `\"}`},
		{"key x1y2 ", "=z"},
		{Mask, Mask},
	} {
		f.Add(seed[0], seed[1])
	}
	p, err := New(Rules{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, before, behind string) {
		const canary = "Canary-7f3a"
		if strings.Contains(before+"|"+behind, canary) {
			return
		}
		for _, name := range []string{"secret=", "password:", `"token":"`, `\"Auth\": \"`, "API_KEY => "} {
			s := before + name + canary + behind
			for _, header := range []string{"Body", "Variable", "Command"} {
				require.NotContains(t, p.Header(header, s), canary, "%s: %q", header, s)
			}
			once := p.Text(s)
			require.Equal(t, once, p.Text(once), "of %q", s)
		}
		once := p.Text(before)
		require.Equal(t, once, p.Text(once), "of %q", before)
	})
}
