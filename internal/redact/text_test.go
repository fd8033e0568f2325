package redact

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	for _, tc := range []struct{ name, text, want string }{
		{"to the end of the line", "secret=correct horse canary", "secret=[redacted]"},
		{"not beyond it", "secret=canary\r\nHost: x", "secret=[redacted]\r\nHost: x"},
		{"in the next line", "\"password\":\n \"canary\"", "\"password\":\n \"[redacted]\""},
		{"bearer", "Authorization: Bearer canary", "Authorization: [redacted]"},
		{"configuration", "secret => canary", "secret => [redacted]"},
		{"blank before the colon", "password : canary", "password : [redacted]"},
		{"two separators", "password:=canary", "password:=[redacted]"},
		{"document", `{"password":"canary"}`, `{"password":"[redacted]"}`},
		{"document, pretty", `{"password" : "canary", "a": 1}`, `{"password" : "[redacted]", "a": 1}`},
		{"document, quote in the value", `{"token":"a\"canary"}`, `{"token":"[redacted]"}`},
		{"document, two", `{"token":"canary","key":"canary"}`, `{"token":"[redacted]","key":"[redacted]"}`},
		{"document, list", `{"tokens":["canary","canary"]}`, `{"tokens":[redacted]`},
		{"document in a document", `"{\"token\":\"a\\\"canary\",\"b\":1}"`, `"{\"token\":\"[redacted]\",\"b\":1}"`},
		{"single quotes", `password='correct canary' user='bob'`, `password='[redacted]' user='bob'`},
		{"no closing quote", `password="correct canary`, `password=[redacted]`},
		{"quote that closes nothing", `password="a"canary`, `password=[redacted]`},
		{"too deep a quote", `password=\\\\\\\\"a" canary`, `password=[redacted]`},
		{"empty quotes", `password="" user=bob`, `password="" user=bob`},
		{"nothing", "password=", "password="},
		{"index", "password[0]=canary", "password[0]=[redacted]"},
		{"call", "ARRAY(token,user)=canary,bob", "ARRAY(token,user)=[redacted]"},
		{"list of names", "fields token,user=bob", "fields token,user=bob"},
		{"address", "https://x/?access_token=canary&y=1", "https://x/?access_token=[redacted]"},
		{"not ASCII", "Schlüssel-Tokenübergabe=canary", "Schlüssel-Tokenübergabe=[redacted]"},

		{"refused command", "No such command 'database put app password canary'", "No such command 'database put app password [redacted]"},
		{"refused command, global", "dialplan set  global API_TOKEN canary\nnext", "dialplan set  global API_TOKEN [redacted]\nnext"},
		{"command in the line before", "database put a b c\nInvalid key given", "database put a b c\nInvalid key given"},
		{"no such phrase", "The database has no such key as yours", "The database has no such key as yours"},
		{"like no word", "Invalid password hunter2.", "Invalid password [redacted]."},
		{"like no word, brackets", "Bad token (c4n4ry)", "Bad token ([redacted])"},
		{"quoted", "The token 'canary' has expired", "The token '[redacted]' has expired"},
		{"quoted, with a name in it", `Bad key "of token x1y2"`, `Bad key "of token [redacted]"`},
		{"too short for one", "Press key 5", "Press key 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := p.Text(tc.text)
			require.Equal(t, tc.want, got)
			require.Equal(t, got, p.Text(got), "idempotent")
		})
	}
}

// What Asterisk says of itself is readable.
func TestMessages(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	for _, message := range []string{
		"Already authenticated",
		"Authentication accepted",
		"Authentication Required",
		"Authentication failed",
		"Authentication type not supported",
		"Asterisk is shutting down",
		"Channel does not exist: PJSIP/2001-00000001",
		"Channel not specified",
		"Command output follows",
		"Config file has invalid format",
		"Database entry not found",
		"Did not find context none",
		"Endpoint 'auth2001' not found",
		"Extension does not exist.",
		"Failed to authenticate 192.0.2.1:5060",
		"Failed to parse message: line too long",
		"Filter did not compile.  Check the syntax of the filter given.",
		"Invalid authentication for user 2001",
		"Invalid key",
		"Invalid/unknown command: Frobnicate. Use Action: ListCommands to show available commands.",
		"Key not found",
		"Login Already In Use",
		"Missing action in request",
		"Missing token",
		"Must specify 'Key'",
		"Must specify 'Key' and 'Val'",
		"Must specify AuthType",
		"Need 'Interface' and 'Paused' parameters.",
		"No family specified.",
		"No key specified.",
		"No such channel",
		"Originate failed",
		"Password has expired",
		"Permission denied",
		"Required parameter 'Key' missing",
		"Save of config failed",
		"The password must not be the user's name",
		"Too many lines in message or allocation failure",
		"Unable to add interface to queue: No such queue",
		"Update did not complete successfully",
		"Wrong password for user 2001",
	} {
		t.Run(message, func(t *testing.T) {
			require.Equal(t, message, p.Text(message))
			require.Equal(t, message, p.Header("Message", message))
		})
	}
}

func TestOwnValues(t *testing.T) { // G2
	for _, tc := range []struct{ name, pattern, text, want string }{
		{"groups of a repetition", `(?:(\d+)|([a-z]+)-)*$`, "ab-12", Mask + "-" + Mask},
		{"group within a group", `a(b(c)d)e`, "abcde", "a" + Mask + "e"},
		{"nothing to hide", `x*`, "abc", "abc"},
		{"each by itself", `\d`, "12", Mask + Mask},
		{"what is hidden already", `[a-z]+`, "password=canary", Mask + "=" + Mask},
		{"more than is hidden already", `x.*`, "x password=canary", Mask},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := New(Rules{Values: []string{tc.pattern}})
			require.NoError(t, err)
			got := p.Text(tc.text)
			require.Equal(t, tc.want, got)
			require.Equal(t, got, p.Text(got), "idempotent")
		})
	}
}

// No text makes the time grow with the square of its length.
func TestLongText(t *testing.T) { // G2
	p, err := New(Rules{})
	require.NoError(t, err)
	for _, tc := range []struct{ name, header, unit string }{
		{"no secret", "Body", "x"},
		{"one name", "Body", "key"},
		{"names", "Body", "key "},
		{"names in a call", "Body", "key(key,"},
		{"names and quotes", "Body", `key "x `},
		{"names and quotes of both kinds", "Body", `key "x key 'x `},
		{"names and backslashes", "Body", `key \`},
		{"names and escaped quotes", "Body", `key \\\\\\\"`},
		{"names and blanks", "Body", "key                "},
		{"assignments", "Body", `key="x" `},
		{"assignments, hidden lines", "Body", "key=x\n"},
		{"assignments, open quotes", "Body", "key='x\n"},
		{"commands", "Body", "database put key "},
		{"lines with commands", "Body", "database put key x\n"},
		{"almost commands", "Body", "database key "},
		{"hidden words", "Body", "key x1y2 "},
		{"masks", "Body", Mask},
		{"variables", "Variable", "A=1,"},
		{"backslashes", "Variable", `\,`},
		{"arguments", "Command", "database put x "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := strings.Repeat(tc.unit, 1<<20/len(tc.unit))
			start := time.Now()
			p.Header(tc.header, s)
			require.Less(t, time.Since(start), 2*time.Minute) // the square would take many
		})
	}
}
