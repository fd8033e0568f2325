package redact

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPolicy(t *testing.T) { // G2
	p, err := New(Rules{Headers: []string{"Cvv"}, Names: []string{"^X-"}, Values: []string{`\d{16}`, `pin (\d+) of (\d+)`}})
	require.NoError(t, err)
	for _, tc := range []struct{ name, header, value, want string }{
		{"secret", "Secret", "canary", Mask},
		{"any case", "SECRET", "canary", Mask},
		{"MD5 key", "Key", "canary", Mask},
		{"password inside a name", "RemoteSecretPassword", "canary", Mask},
		{"auth token", "AuthToken", "canary", Mask},
		{"empty", "Secret", "", ""},
		{"variable", "Variable", "X_TOKEN=canary", "X_TOKEN=" + Mask},
		{"function", "Variable", "HASH(api_key)=canary,B=2", "HASH(api_key)=" + Mask},
		{"two in one", "AppData", "password=canary&x=1&secret: canary", "password=" + Mask},
		{"own header", "cvv", "123", Mask},
		{"own name pattern", "X-Any", "canary", Mask},
		{"own value pattern", "AppData", "card 4111111111111111 ok", "card " + Mask + " ok"},
		{"own groups", "AppData", "pin 12 of 34.", "pin " + Mask + " of " + Mask + "."},
		{"harmless", "Channel", "PJSIP/2001-00000001", "PJSIP/2001-00000001"},
		{"action id", "ActionID", "pbx1:0123:7", "pbx1:0123:7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, p.Header(tc.header, tc.value))
		})
	}
	require.Equal(t, `Secret: "`+Mask+`"`, p.Headers(maps.All(map[string]string{"Secret": "canary"})))
}

func TestBadPattern(t *testing.T) { // G2
	_, err := New(Rules{Names: []string{"fine", "(canary"}, Values: []string{"canary**("}})
	require.EqualError(t, err, "redact: Names[1] is no regular expression: missing closing )\n"+
		"redact: Values[0] is no regular expression: invalid nested repetition operator", "and the pattern, which may be the secret itself, is not shown")
	e, ok := errors.AsType[*PatternError](err)
	require.True(t, ok)
	require.Equal(t, "Names[1]", e.Rule)
}

// Setvar and DBPut name in one header what the next one holds.
func TestNamedByTheHeaderBefore(t *testing.T) { // G2
	p, err := New(Rules{Headers: []string{"pin"}})
	require.NoError(t, err)
	for _, tc := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"variable", []string{"Variable", "X_TOKEN", "Value", "canary"}, `Variable: "X_TOKEN"; Value: "` + Mask + `"`},
		{"own name", []string{"Variable", "PIN", "value", "canary"}, `Variable: "PIN"; value: "` + Mask + `"`},
		{"database", []string{"Key", "password", "Val", "canary"}, `Key: "` + Mask + `"; Val: "` + Mask + `"`},
		{"harmless", []string{"Variable", "LANG", "Value", "en"}, `Variable: "LANG"; Value: "en"`},
		{"empty", []string{"Variable", "X_TOKEN", "Value", ""}, `Variable: "X_TOKEN"; Value: ""`},
		{"not named", []string{"Value", "en"}, `Value: "en"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, p.Headers(func(yield func(string, string) bool) {
				for h := range slices.Chunk(tc.headers, 2) {
					if !yield(h[0], h[1]) {
						return
					}
				}
			}))
		})
	}
}
