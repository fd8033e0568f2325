package redact

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
)

// once yields pairs of name and value, a single time.
func once(pairs ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for ; len(pairs) > 0; pairs = pairs[2:] {
			if !yield(pairs[0], pairs[1]) {
				return
			}
		}
	}
}

func TestHeaders(t *testing.T) { // G2
	p, err := New(Rules{Headers: []string{"Cvv"}, Names: []string{"(?i)pin$"}})
	require.NoError(t, err)
	for _, tc := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"none", nil, ""},
		{"Setvar", []string{"Variable", "API_TOKEN", "Value", "canary"}, `Variable: "API_TOKEN"; Value: "[redacted]"`},
		{"Setvar, value first", []string{"value", "canary", "VARIABLE", "api_token"}, `value: "[redacted]"; VARIABLE: "api_token"`},
		{"Setvar, no value", []string{"Variable", "API_TOKEN", "Value", ""}, `Variable: "API_TOKEN"; Value: ""`},
		{"Setvar, function", []string{"Variable", "PJSIP_HEADER(add,Authorization)", "Value", "canary"}, `Variable: "PJSIP_HEADER(add,Authorization)"; Value: "[redacted]"`},
		{"Setvar, own header", []string{"Variable", "CVV", "Value", "123"}, `Variable: "CVV"; Value: "[redacted]"`},
		{"Setvar, own name", []string{"Variable", "USER_PIN", "Value", "123"}, `Variable: "USER_PIN"; Value: "[redacted]"`},
		{"Setvar, harmless", []string{"Variable", "LANGUAGE", "Value", "de"}, `Variable: "LANGUAGE"; Value: "de"`},
		{"DBPut, key", []string{"Action", "DBPut", "Family", "app", "Key", "password", "Val", "canary"}, `Action: "DBPut"; Family: "app"; Key: "password"; Val: "[redacted]"`},
		{"DBPut, family", []string{"Action", "dbput", "Family", "tokens", "Key", "2001", "Val", "canary"}, `Action: "dbput"; Family: "tokens"; Key: "2001"; Val: "[redacted]"`},
		{"DBPut, harmless", []string{"Action", "DBPut", "Family", "cfim", "Key", "2001", "Val", "2002"}, `Action: "DBPut"; Family: "cfim"; Key: "2001"; Val: "2002"`},
		{"Login by MD5", []string{"Action", "Login", "Key", "canary"}, `Action: "Login"; Key: "[redacted]"`},
		{"DB alone is no such action", []string{"Action", "DB", "Key", "canary"}, `Action: "DB"; Key: "[redacted]"`},
		{
			"UpdateConfig",
			[]string{"Var-000000", "secret", "Value-000000", "canary", "Match-000000", "canary", "Var-000001", "type", "Value-000001", "friend"},
			`Var-000000: "secret"; Value-000000: "[redacted]"; Match-000000: "[redacted]"; Var-000001: "type"; Value-000001: "friend"`,
		},
		{"Originate, application", []string{"Application", "Authenticate", "Data", "canary"}, `Application: "Authenticate"; Data: "[redacted]"`},
		{
			"Originate, variables",
			[]string{"Variable", "DB_PASSWORD=canary", "Application", "Playback", "Data", "hello-world"},
			`Variable: "DB_PASSWORD=[redacted]"; Application: "Playback"; Data: "hello-world"`,
		},
		{"Command", []string{"Action", "Command", "Command", "database put app password canary"}, `Action: "Command"; Command: "database put app password [redacted]"`},
		{"line without a colon", []string{"", "secret=canary"}, `: "secret=[redacted]"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, p.Headers(once(tc.headers...)))
		})
	}

	own, err := New(Rules{Headers: []string{"key"}})
	require.NoError(t, err)
	require.Equal(t, `Action: "DBGet"; Key: "[redacted]"`, own.Headers(once("Action", "DBGet", "Key", "x")))
	for header, by := range tellers {
		for _, b := range by {
			require.True(t, tells[b], "%s tells of %s", b, header)
		}
	}
}

func TestHeader(t *testing.T) { // G2
	p, err := New(Rules{Names: []string{"(?i)pin$"}})
	require.NoError(t, err)
	for _, tc := range []struct{ name, header, value, want string }{
		{"blanks", "Variable", `DB_PASSWORD=correct horse canary`, `DB_PASSWORD=[redacted]`},
		{"escaped comma", "Variable", `DB_PASSWORD=a\,canary`, `DB_PASSWORD=[redacted]`},
		{"bare comma", "Variable", `DB_PASSWORD=a,canary`, `DB_PASSWORD=[redacted]`},
		{"quotes that open and close", "Variable", `DB_PASSWORD="" canary`, `DB_PASSWORD=[redacted]`},
		{"header in a variable", "Variable", `HDR=Authorization: Bearer canary`, `HDR=Authorization: [redacted]`},
		{"second variable", "Variable", `A=1,B_TOKEN=canary`, `A=1,B_TOKEN=[redacted]`},
		{"second variable, own name", "Variable", `A=1,USER_PIN=canary`, `A=1,USER_PIN=[redacted]`},
		{"escaped comma is in a name", "Variable", `HASH(a\,pin)=1,B=2`, `HASH(a\,pin)=1,B=2`},
		{"function", "Variable", `HASH(tokens,api)=canary`, `HASH(tokens,api)=[redacted]`},
		{"document in a variable", "Variable", `J={\"password\":\"canary\"\,\"user\":\"bob\"}`, `J={\"password\":\"[redacted]\"\,\"user\":\"bob\"}`},
		{"assignment in a name", "Variable", `password: canary,_TOKEN=canary`, `password: [redacted]=[redacted]`},
		{"empty", "Variable", `API_TOKEN=`, `API_TOKEN=`},
		{"name alone", "Variable", `API_TOKEN`, `API_TOKEN`},
		{"harmless", "Variable", `A=1,B=x y`, `A=1,B=x y`},
		{"event", "ChanVariable(PJSIP/1-00000001)", `API_TOKEN=x "canary"`, `API_TOKEN=[redacted]`},
		{"other spelling", "SetVar", `USER_PIN=1 canary`, `USER_PIN=[redacted]`},
		{"command", "Command", `database put app password canary`, `database put app password [redacted]`},
		{"command, any case", "COMMAND", `dialplan set global API_TOKEN correct canary`, `dialplan set global API_TOKEN [redacted]`},
		{"command, quotes", "Command", `database put app "my password" "canary"`, `database put app "my password" [redacted]`},
		{"command, path", "Command", `database put app password/2001 canary`, `database put app password[redacted]`},
		{"command, assignment", "Command", `dialplan set global X "token=a" canary`, `dialplan set global X "token=[redacted]`},
		{"command, family", "Command", `database put auth 2001 canary`, `database put auth [redacted]`},
		{"command, nothing behind", "Command", `core show application Authenticate`, `core show application Authenticate`},
		{"command, harmless", "Command", `core show channels concise`, `core show channels concise`},
		{"application data", "Data", `API_TOKEN=a canary`, `API_TOKEN=[redacted]`},
		{"body", "Body", `{"password":"canary","user":"bob"}`, `{"password":"[redacted]","user":"bob"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, p.Header(tc.header, tc.value))
		})
	}
}
