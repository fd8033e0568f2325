package redact

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "Canary-7f3a"

// requireHidden wants no canary out of s, in whatever header, and nothing that
// is hidden a second time.
func requireHidden(t *testing.T, p *Policy, s string) {
	t.Helper()
	for _, header := range []string{"Body", "Variable", "Command"} {
		require.NotContains(t, p.Header(header, s), canary, "%s: %q", header, s)
	}
	once := p.Text(s)
	require.Equal(t, once, p.Text(once), "of %q", s)
}

var assignments = []string{"secret=", "password:", `"token":"`, `\"Auth\": \"`, "API_KEY => ", "HASH(a,key)="}

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
		if strings.Contains(before+"|"+behind, canary) {
			return
		}
		requireHidden(t, p, before)
		for _, name := range assignments {
			requireHidden(t, p, before+name+canary+behind)
		}
	})
}

// Texts made of all that the scanner looks at find more than random bytes do.
func TestAssembledText(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	parts := append([]string{
		"key", "token ", "auth", "word ", "a1b2", "x", "0", "database put ", "dialplan set global ", Mask,
		`"`, "'", "`", `\`, " ", "\n", "=", ":", ",", ";", "&", "(", ")", "[", "]", "{", "}", ">", ".", "/",
	}, assignments...)
	random := rand.New(rand.NewPCG(1, 2))
	assemble := func() string {
		var b strings.Builder
		for range random.IntN(12) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	for range 1500 {
		requireHidden(t, p, assemble()+assignments[random.IntN(len(assignments))]+canary+assemble())
		requireHidden(t, p, assemble())
	}
}
