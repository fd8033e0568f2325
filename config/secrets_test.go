package config

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// canary is the secret that must show nowhere.
const canary = "canary-5ecr3t"

func unshown(t *testing.T, text string) {
	t.Helper()
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]")} {
		require.NotContains(t, text, form)
	}
}

// logged returns v as slog writes it.
func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("message", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&b, nil)).Info("message", "v", v, slog.Group("g", "v", v))
	return b.String()
}

// TestSecretsOfConfig: wherever a secret comes from, no form of the configuration
// shows it, nor do the nodes that are made of it.
func TestSecretsOfConfig(t *testing.T) { // G2
	require.Contains(t, forms(t, struct{ S string }{canary}), canary, "the test can fail")
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(canary), 0o600))
	const node = "nodes: [{key: a, addr: 192.0.2.1, username: u}]\n"
	for name, tc := range map[string]struct {
		file    string
		environ []string
	}{
		"plain":                 {file: "nodes: [{key: a, addr: 192.0.2.1, username: u, secret: " + canary + "}]\n"},
		"default":               {file: "defaults: {secret: " + canary + "}\n" + node},
		"file":                  {file: "defaults: {secret: {file: " + file + "}}\n" + node},
		"environment":           {file: "defaults: {secret: {env: X}}\n" + node, environ: []string{"X=" + canary}},
		"variable":              {file: node, environ: []string{"AMI_DEFAULTS_SECRET=" + canary}},
		"file by variable":      {file: node, environ: []string{"AMI_DEFAULTS_SECRET_FILE=" + file}},
		"variable by variable":  {file: node, environ: []string{"AMI_DEFAULTS_SECRET_ENV=X", "X=" + canary}},
		"unknown variable":      {file: oneNode, environ: []string{"AMI_SECRET=" + canary}},
		"pattern with a secret": {file: oneNode + "redaction: {values: [" + canary + "]}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse([]byte(tc.file), tc.environ)
			require.NoError(t, err)
			for _, v := range []any{c, *c, c.Nodes(), c.Warnings(), struct{ c *Config }{c}, struct{ c Config }{*c}, c.nodes} {
				unshown(t, forms(t, v))
				unshown(t, logged(v))
			}
			n := c.Nodes()[0]
			if n.SecretFunc != nil {
				n.Secret, err = n.SecretFunc(t.Context())
				require.NoError(t, err)
			}
			if !strings.Contains(tc.file, "secret: s}") {
				require.Equal(t, canary, n.Secret.Reveal(), "and it is the right one")
			}
		})
	}
}

// TestSecretsInErrors: a secret that got to the wrong place, or that is none, is
// not in the error.
func TestSecretsInErrors(t *testing.T) { // G2
	const before = "nodes:\n  - key: a\n    addr: 192.0.2.1\n    username: u\n"
	long := filepath.Join(t.TempDir(), "long")
	require.NoError(t, os.WriteFile(long, []byte(strings.Repeat(canary, 100)), 0o600))
	for name, file := range map[string]string{
		"alias":                before + "    secret: *" + canary + "\n",
		"tag":                  before + "    secret: !" + canary + "\n",
		"tag and value":        before + "    secret: !odd " + canary + "\n",
		"directive":            before + "    secret: %" + canary + "\n",
		"at":                   before + "    secret: @" + canary + "\n",
		"quote":                before + "    secret: '" + canary + "\n",
		"double quote":         before + "    secret: \"" + canary + "\n",
		"escape":               before + "    secret: \"\\" + canary + "\"\n",
		"brace":                before + "    secret: {" + canary + "\n",
		"bracket":              before + "    secret: [" + canary + "]\n",
		"mapping":              before + "    secret: {" + canary + "}\n",
		"mapping with value":   before + "    secret: {value: " + canary + "}\n",
		"key":                  before + "    secret:\n      " + canary + ":\n",
		"key of a key":         before + "    secret: {? {" + canary + ": x} : y}\n",
		"colon":                before + "    secret: " + canary + ": x\n",
		"number":               before + "    secret: 12345\n    auth: secret=" + canary,
		"no blank":             before + "    secret:" + canary + "\n",
		"no blank, own line":   before + "    secret: s\n  - secret:" + canary + "\n",
		"no blank, last":       before + "    secret: s\nsecret:" + canary + ":\n",
		"two lines":            before + "    secret: |\n      " + canary + "\n      x\n",
		"NUL":                  before + "    secret: \"" + canary + "\\0\"\n",
		"long":                 before + "    secret: " + strings.Repeat(canary, 100) + "\n",
		"empty and user":       before + "    secret: ''\n    events: password=" + canary + "\n",
		"file":                 before + "    secret: {file: " + long + "}\n",
		"name of a variable":   before + "    secret: {env: " + canary + "}\n",
		"twice":                before + "    secret: " + canary + "\n    secret: " + canary + "\n",
		"three sources":        before + "    secret: {file: /no, env: NO}\ndefaults: {secret: " + canary + ", auth: x}\n",
		"option":               before + "    secret: s\nread_idle: secret=" + canary + "\n",
		"unknown option":       before + "    secret: s\nsecret=" + canary + ": x\n",
		"pattern":              before + "    secret: s\nredaction: {values: ['(" + canary + "']}\n",
		"binary":               before + "    secret: !!binary " + canary + "\n",
		"anchor":               before + "    secret: &" + canary + "\n    auth: *" + canary + "\n",
		"unknown anchor later": before + "    secret: s\n    auth: *" + canary + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(file), nil)
			found := all(t, err)
			for _, v := range []any{err, found, found[0], found[0].Err} {
				unshown(t, forms(t, v))
				unshown(t, logged(v))
			}
		})
	}
	_, err := Parse([]byte(oneNode), []string{"AMI_DEFAULTS_SECRET=" + canary + "\n", "AMI_EVENT_QUEUE=token=" + canary, "AMI_DEFAULTS_AUTH=x", "AMI_DEFAULTS_SECRET_FILE=/no/such/file"})
	unshown(t, forms(t, err)+logged(err))
	require.Len(t, all(t, err), 2)
}

// TestPrintedConfigIsOne: what is printed is in force, and can be read again.
func TestPrintedConfigIsOne(t *testing.T) { // H1
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("s"), 0o600))
	c, err := Parse([]byte(`
defaults: {username: app, secret: {env: X}, auth: md5, tls: {server_name: pbx, min_version: 1.3}}
read_idle: 3m
limits: {frame: 2MiB}
default_node: a
literal_addresses: true
redaction: {headers: [Pin, "on"], names: ["^X-"]}
nodes:
  - {key: a, addr: 192.0.2.1, weight: 3}
  - {key: b, addr: "192.0.2.2:5039", username: "1000", secret: {file: `+file+`}, tls: {enabled: false}, events: off}
  - {key: "1", addr: 192.0.2.3, secret: plain}
`), []string{"X=x", "AMI_EVENT_QUEUE=77", "AMI_LIMITS_COMMAND=64KiB"})
	require.NoError(t, err)
	text := c.String()
	for _, want := range []string{
		"read_idle: 3m\n", "event_queue: 77 # AMI_EVENT_QUEUE", "login_timeout: 5s # default", "  buffer: 2368KiB # default", "  command: 64KiB # AMI_LIMITS_COMMAND",
		"    env: \"X\"", "    file: " + `"` + file + `"`, "  secret: \"[redacted]\"", "default_node: a", "min_version: \"1.3\"", "  events: \"off\"", "literal_addresses: true",
	} {
		require.Contains(t, text, want)
	}
	again, err := Parse([]byte(text), []string{"X=x"})
	require.NoError(t, err)
	require.Equal(t, withoutComments(text), withoutComments(again.String()))
	require.Empty(t, c.differing(again))
	require.NoError(t, compile(t).Validate(asJSON(t, []byte(text))))

	j, err := c.MarshalJSON()
	require.NoError(t, err)
	fromJSON, err := Parse(j, []string{"X=x"})
	require.NoError(t, err, "JSON is YAML")
	require.Empty(t, c.differing(fromJSON))
	y, err := yaml.Dump(c)
	require.NoError(t, err)
	require.Equal(t, text, string(y))
}

func withoutComments(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " #")
	}
	return strings.Join(lines, "\n")
}
