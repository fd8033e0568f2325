package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/setting"
)

// TestWrongFiles: each line is refused with its path, and nothing is made up
// besides.
func TestWrongFiles(t *testing.T) { // H1
	node := func(keys string) string {
		return "nodes:\n  - key: a\n    addr: 192.0.2.1\n    username: u\n    secret: s\n" + keys
	}
	for _, tc := range []struct {
		name, file string
		is         error
		want       string
	}{
		{"empty", "", nil, "nodes = 0: a cluster needs one node at least"},
		{"comments", "# nothing\n", nil, "nodes = 0: a cluster needs one node at least"},
		{"null", "~\n", nil, "nodes = 0: a cluster needs one node at least"},
		{"no nodes", "nodes: []\n", nil, "line 1: nodes = 0: a cluster needs one node at least"},
		{"no mapping", "- a\n", ErrType, "line 1: the file = a list: wrong type: must be a mapping with "},
		{"nodes no list", "nodes: {a: b}\n", ErrType, "line 1: nodes = a mapping: wrong type: must be a list of mappings"},
		{"node no mapping", "nodes: [a]\n", ErrType, "line 1: nodes[0] = a text: wrong type: must be a mapping with key, "},
		{"two documents", oneNode + "---\n" + oneNode, ErrSyntax, "line 2: the file = more than one document: no valid YAML: must be one"},
		{"no YAML", "a: b: c\n", ErrSyntax, "line 1: the file: no valid YAML: mapping values are not allowed in this context"},
		{"tab", "keepalive:\n\tinterval: 1s\n", ErrSyntax, "line 2: the file: no valid YAML: found character that cannot start any token"},

		{"unknown key", node("    adr: x\n"), ErrUnknownKey, "line 6: nodes[0].adr: unknown key: did you mean addr?"},
		{"another unknown key", node("    xxxxxxxx: x\n"), ErrUnknownKey, "line 6: nodes[0].xxxxxxxx: unknown key: must be one of key, addr, username, secret, auth, events, tls, weight"},
		{"unknown option", "keepalife: {}\n" + oneNode, ErrUnknownKey, "line 1: keepalife: unknown key: did you mean keepalive?"},
		{"unknown below", "keepalive: {intervall: 1s}\n" + oneNode, ErrUnknownKey, "line 1: keepalive.intervall: unknown key: did you mean interval?"},
		{"node's key in defaults", "defaults: {addr: x}\n" + oneNode, ErrUnknownKey, "line 1: defaults.addr: unknown key: must be one of username, secret, auth, events, tls"},
		{"key that is a list", "? [a]\n: b\n" + oneNode, ErrUnknownKey, "line 1: the file: unknown key: must be one of "},
		{"merge", "defaults: &d {username: u}\n" + node("    <<: *d\n"), ErrUnknownKey, "line 7: nodes[0].<<: unknown key: "},
		{"twice", "event_queue: 16\nevent_queue: 17\n" + oneNode, ErrContradiction, "line 2: event_queue: contradiction: it stands in line 1 already"},

		{"duration without unit", "read_idle: 60\n" + oneNode, ErrType, "line 1: read_idle = 60: wrong type: must be a duration, 1s to 24h"},
		{"no duration", "read_idle: soon\n" + oneNode, ErrType, "line 1: read_idle = soon: wrong type: must be a duration, 1s to 24h"},
		{"list for a duration", "read_idle: [60s]\n" + oneNode, ErrType, "line 1: read_idle = a list: wrong type: must be a duration, 1s to 24h"},
		{"mapping for a duration", "read_idle: {a: b}\n" + oneNode, ErrType, "line 1: read_idle = a mapping: wrong type: must be a duration, 1s to 24h"},
		{"nothing", "read_idle:\n" + oneNode, ErrType, "line 1: read_idle = nothing: wrong type: must be a duration, 1s to 24h: leave the key out for its default"},
		{"number in quotes", "event_queue: '16'\n" + oneNode, ErrType, "line 1: event_queue = 16: wrong type: must be a number, 16 to 1000000"},
		{"fraction", "event_queue: 16.5\n" + oneNode, ErrType, "line 1: event_queue = 16.5: wrong type: must be a number, 16 to 1000000"},
		{"octal", "event_queue: 020\n" + oneNode, ErrType, "line 1: event_queue = 020: wrong type: must be a number, 16 to 1000000"},
		{"hexadecimal", "event_queue: 0x20\n" + oneNode, ErrType, "line 1: event_queue = 0x20: wrong type: must be a number, 16 to 1000000"},
		{"number beyond all", "event_queue: 99999999999999999999\n" + oneNode, ErrType, "line 1: event_queue = 99999999999999999999: wrong type: must be a number, 16 to 1000000"},
		{"number of 33 bits", "event_queue: 4294967313\n" + oneNode, nil, "line 1: event_queue = 4294967313: must be 16 to 1000000"},
		{"size beyond all", "limits: {frame: 9999999999999GiB}\n" + oneNode, ErrValue, "line 1: limits.frame = 9999999999999GiB: not allowed: must be a number of bytes, 64KiB to 4MiB"},
		{"odd unit", "limits: {frame: 1MB}\n" + oneNode, ErrType, "line 1: limits.frame = 1MB: wrong type: must be a number of bytes, 64KiB to 4MiB"},
		{"flag", "literal_addresses: yes\n" + oneNode, ErrType, "line 1: literal_addresses = yes: wrong type: must be true or false"},
		{"text for a list", "redaction: {headers: Pin}\n" + oneNode, ErrType, "line 1: redaction.headers = a text: wrong type: must be a list of texts"},
		{"number in a list", "redaction: {headers: [Pin, 1]}\n" + oneNode, ErrType, "line 1: redaction.headers[1] = a number: wrong type: must be a text: put it in quotes"},
		{"tag of one's own", "event_queue: !odd 16\n" + oneNode, ErrType, "line 1: event_queue = 16: wrong type: must be a number, 16 to 1000000"},
		{"text for a mapping", "keepalive: 30s\n" + oneNode, ErrType, "line 1: keepalive = a text: wrong type: must be a mapping with interval, timeout"},

		{"odd key", "nodes: [{key: a b, addr: 192.0.2.1, username: u, secret: s}]\n", nil, `line 1: nodes[0].key = "a b": may hold letters, digits and . _ - @ / only: it becomes part of every ActionID`},
		{"key twice", "nodes:\n  - &n {key: a, addr: 192.0.2.1, username: u, secret: s}\n  - *n\n", nil, `line 2: nodes[1].key = "a": is the key of another node of the cluster`},
		{"no key", "nodes: [{addr: 192.0.2.1, username: u, secret: s}]\n", nil, "line 1: nodes[0].key: must have 1 to 255 characters"},
		{"port", "nodes: [{key: a, addr: 'h:0', username: u, secret: s}]\n", nil, `line 1: nodes[0].addr = "h:0": the port must be 1 to 65535`},
		{"user as a number", "nodes: [{key: a, addr: h, username: 1000, secret: s}]\n", ErrType, `line 1: nodes[0].username = "1000": wrong type: must be a text: put it in quotes`},
		{"date as a user", "nodes: [{key: a, addr: h, username: 2026-01-01, secret: s}]\n", ErrType, `line 1: nodes[0].username = "2026-01-01": wrong type: must be a text: put it in quotes`},
		{"no user", "nodes:\n - {key: a, addr: h, secret: s}\n", nil, "line 2: nodes[0].username: is required: that of a user in manager.conf"},
		{"bad default", "defaults: {username: 1}\nnodes: [{key: a, addr: h, secret: s}]\n", ErrType, `line 1: defaults.username = "1": wrong type: must be a text: put it in quotes`},
		{"no secret", "nodes:\n - {key: a, addr: h, username: u}\n", nil, "line 2: nodes[0].secret: is required: that of a user in manager.conf"},
		{"variable that is not set", "nodes: [{key: a, addr: h, username: u, secret: {env: NO_SUCH}}]\n", nil, `line 1: nodes[0].secret.env = "NO_SUCH": the variable is not set`},
		{"no source", "nodes: [{key: a, addr: h, username: u, secret: {}}]\n", ErrValue, "line 1: nodes[0].secret: not allowed: must be a text, or have file or env"},
		{"empty secret", "nodes: [{key: a, addr: h, username: u, secret: ''}]\n", ErrValue, "line 1: nodes[0].secret = [redacted]: not allowed: must be a text of 1 to 900 bytes, or a mapping with file or env"},
		{"auth", node("    auth: MD5\n"), ErrValue, `line 6: nodes[0].auth = "MD5": not allowed: must be plain or md5`},
		{"events", node("    events: call, agent\n"), nil, `line 6: nodes[0].events = "call, agent": must be on, off, or classes with commas and no blanks between them`},
		{"weight", node("    weight: 101\n"), nil, "line 6: nodes[0].weight = 101: must be 1 to 100"},
		{"TLS version", node("    tls: {min_version: 1.1}\n"), ErrType, `line 6: nodes[0].tls.min_version = "1.1": wrong type: must be a text: put it in quotes`},
		{"certificate alone", node("    tls: {certificate: x}\n"), ErrContradiction, "line 6: nodes[0].tls.key: contradiction: is required with tls.certificate"},
		{"key alone", node("    tls: {key: x}\n"), ErrContradiction, "line 6: nodes[0].tls.certificate: contradiction: is required with tls.key"},
		{"no TLS and a name", node("    tls: {enabled: false, server_name: x}\n"), ErrContradiction, `line 6: nodes[0].tls.server_name = "x": contradiction: tls.enabled is false in line 6`},
		{"TLS without a value", node("    tls:\n"), ErrType, "line 6: nodes[0].tls = nothing: wrong type: must be a mapping with enabled, "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := one(t, parseErr([]byte(tc.file)))
			switch {
			case tc.is != nil:
				require.ErrorIs(t, e, tc.is)
			case !strings.Contains(tc.want, "variable is not set"):
				_, ok := errors.AsType[*ami.ConfigError](e)
				require.True(t, ok, "%v", e)
			}
			require.True(t, strings.HasPrefix(e.Error(), tc.want), "%v\n%s", e, tc.want)
		})
	}
}

// TestAllAtOnce: in the order of the lines.
func TestAllAtOnce(t *testing.T) { // H1
	err := parseErr([]byte(`dial_timeout: 1ms
defaults:
  usrname: u
  tls: {ca: /no/such/file}
keepalive: {interval: never}
nodes:
  - {key: a, addr: 192.0.2.1, username: u, secret: s}
  - {key: b, addr: "h:x", secret: {file: /no/such/file, env: NO_SUCH}}
  - {key: b, addr: 192.0.2.2, weight: 0}
`))
	require.EqualError(t, err, `config: line 1: dial_timeout = 1ms: must be 10ms to 5m
line 3: defaults.usrname: unknown key: did you mean username?
line 4: defaults.tls.ca: ami: file /no/such/file: no such file or directory
line 5: keepalive.interval = never: wrong type: must be a duration, 1s to 1h
line 8: nodes[1].secret: contradiction: more than one of the secret itself, file and env
line 8: nodes[1].addr = "h:x": the port must be 1 to 65535
line 8: nodes[1].username: is required: that of a user in manager.conf
line 9: nodes[2].weight = 0: must be 1 to 100
line 9: nodes[2].username: is required: that of a user in manager.conf
line 9: nodes[2].secret: is required: that of a user in manager.conf
line 9: nodes[2].key = "b": is the key of another node of the cluster`)
	require.ErrorIs(t, err, ErrUnknownKey)
	var config *ami.ConfigError
	require.ErrorAs(t, err, &config)
}

// TestTwiceAndWrong: that a key is there twice does not hide what else is wrong.
func TestTwiceAndWrong(t *testing.T) { // H1
	require.EqualError(t, parseErr([]byte("event_queue: 3\nevent_queue: 17\n"+oneNode)), `config: line 1: event_queue = 3: must be 16 to 1000000
line 2: event_queue: contradiction: it stands in line 1 already`)
}

// TestOddKeyAndWrong: nor does a key without a name that could be shown, in the file or
// below one of its keys.
func TestOddKeyAndWrong(t *testing.T) { // H1
	for _, odd := range []string{`"": 1`, "? [a, b]\n: 1", "? {a: b}\n: 1"} {
		for at, text := range map[string]string{
			"":          odd + "\nevent_queue: 3\nkeepalive: {interval: 1ns}\n",
			"keepalive": "event_queue: 3\nkeepalive:\n  interval: 1ns\n  " + strings.ReplaceAll(odd, "\n", "\n  ") + "\n",
		} {
			found := map[string]error{}
			for _, e := range all(t, parseErr([]byte(text+oneNode))) {
				found[e.Path] = e
			}
			require.Len(t, found, 3, odd)
			require.ErrorIs(t, found[at], ErrUnknownKey, odd)
			require.ErrorContains(t, found["event_queue"], "must be 16 to 1000000")
			require.ErrorContains(t, found["keepalive.interval"], "must be 1s to 1h")
		}
	}
}

// TestErrorAsText: for JSON and YAML as well, without what it wraps.
func TestErrorAsText(t *testing.T) { // H1
	e := one(t, parseErr([]byte("event_queue: 3\n"+oneNode)))
	b, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `"line 1: event_queue = 3: must be 16 to 1000000"`, string(b))
}

// TestBounds: neither a large file, nor aliases of aliases, nor a million of
// mistakes take long.
func TestBounds(t *testing.T) { // H1
	e := one(t, parseErr([]byte("#"+strings.Repeat("x", largestFile))))
	require.ErrorIs(t, e, ErrValue)
	require.ErrorContains(t, e, "4194304 bytes at most")

	require.Len(t, all(t, parseErr([]byte(oneNode+strings.Repeat("x: 1\n", 10_000)))), mostErrors)

	var b strings.Builder
	b.WriteString("nodes:\n- &n {key: a, addr: h, username: u, secret: s, auth: plain, events: on, weight: 1}\n")
	b.WriteString(strings.Repeat("- *n\n", 20_000))
	found := all(t, parseErr([]byte(b.String())))
	require.Equal(t, "more than that", found[0].Value)
	require.Len(t, found, 1)

	require.Len(t, all(t, parseErr([]byte(oneNode+"redaction: {headers: ["+strings.Repeat("1,", 10_000)+"]}\n"))), mostErrors)

	found = all(t, parseErr([]byte(oneNode+"redaction: {headers: ["+strings.Repeat("a,", mostValues)+"]}\n")))
	require.Len(t, found, 1)
	require.Equal(t, "more than that", found[0].Value)

	var bomb strings.Builder
	bomb.WriteString("a: &a [x]\n")
	for i := range 20 {
		fmt.Fprintf(&bomb, "b%d: &b%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*b%d,", i-1), 9), ","))
	}
	require.NotEmpty(t, all(t, parseErr([]byte(strings.ReplaceAll(bomb.String(), "*b-1", "*a")+oneNode))))
	require.NotEmpty(t, all(t, parseErr([]byte("nodes: &a [*a, *a]\n"))), "no end")
	require.NotEmpty(t, all(t, parseErr([]byte("keepalive: &a {interval: *a}\n"))), "no end")
}

// TestAliases stand for what they name.
func TestAliases(t *testing.T) { // H1
	c, err := Parse([]byte("defaults: {username: &u app, tls: &t {server_name: x}, secret: s}\nnodes: [{key: a, addr: h, username: *u, tls: *t}]\nredaction: {headers: [*u]}\n"), nil)
	require.NoError(t, err)
	require.Equal(t, "app", c.nodes[0].username)
	_, err = Parse([]byte("nodes: [{&k key: a, addr: h, username: u, secret: s}, {*k : b, addr: h, username: u, secret: s}]\n"), nil)
	require.NoError(t, err, "of keys as well")
	require.Equal(t, "x", c.nodes[0].files.ServerName)
	require.Equal(t, []string{"app"}, c.list(setting.RedactHeaders))
}

// TestErrorsOfFiles: a file that is not there is no Errors.
func TestErrorsOfFiles(t *testing.T) { // H1
	for _, path := range []string{t.TempDir() + "/missing", t.TempDir()} {
		_, err := Load(path, nil)
		e, ok := errors.AsType[*ami.FileError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, path, e.File)
	}
}
