package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/config"
)

const twoNodes = `defaults: {username: app, secret: canary}
nodes:
- {key: pbx1, addr: pbx1.example.com}
- {key: pbx2, addr: 192.0.2.7, tls: {}}
keepalive: {interval: 20s}
`

// wrongFile has one thing wrong in each of three lines.
const wrongFile = `nodes:
- {key: pbx1, addr: pbx1.example.com, username: app, secret: canary}
- {key: pbx1, adr: pbx2.example.com, username: app, secret: canary}
keepalive: {interval: soon}
`

func TestConfigPrint(t *testing.T) {
	t.Setenv("AMI_ACTION_LANES", "2")
	file := write(t, "ami.yaml", twoNodes)
	text := call(t, "config", "print", "--config", file)
	require.Zero(t, text.code, text.errs)
	golden(t, "config-print", text.out)
	require.NotContains(t, text.out, "canary")
	_, err := config.Parse([]byte(text.out), nil)
	require.NoError(t, err, "what it prints is a configuration")

	asJSON := call(t, "config", "print", "-c", file, "--json")
	require.Zero(t, asJSON.code, asJSON.errs)
	require.NotContains(t, asJSON.out, "canary")
	var doc struct {
		Keepalive map[string]string
		Nodes     []map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(asJSON.out), &doc))
	require.Equal(t, "20s", doc.Keepalive["interval"])
	require.Equal(t, "pbx2", doc.Nodes[1]["key"])
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("ami.yaml", []byte(wrongFile), 0o644))
	require.NoError(t, os.WriteFile("open.yaml", []byte(twoNodes), 0o644))
	require.NoError(t, os.WriteFile("broken.yaml", []byte("nodes: ["), 0o600))
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"wrong", nil, 3},
		{"wrong-json", []string{"--json"}, 3},
		{"open", []string{"-c", "open.yaml"}, 0},
		{"open-json", []string{"-c", "open.yaml", "--json"}, 0},
		{"no-yaml", []string{"-c", "broken.yaml"}, 3},
		{"missing", []string{"-c", "missing.yaml"}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"config", "check"}, tc.args...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			t.Chdir(home)
			golden(t, "config-check-"+tc.name, "stdout\n"+e.out+"stderr\n"+e.errs)
			require.NotContains(t, e.out+e.errs, "canary")
		})
	}
}

// home is the folder of the package.
var home, _ = os.Getwd()

func TestConfigSchema(t *testing.T) {
	e := call(t, "config", "schema")
	require.Zero(t, e.code)
	require.JSONEq(t, string(config.Schema()), e.out)
}

// TestWhereTheConfigurationIs: --config, $AMI_CONFIG and ./ami.yaml, in that order,
// or none of them.
func TestWhereTheConfigurationIs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	old := places
	places = []string{"ami.yaml", filepath.Join(dir, "etc.yaml")}
	t.Cleanup(func() { places = old })
	file := func(key string) []byte {
		return []byte("nodes: [{key: " + key + ", addr: 192.0.2.1, username: u, secret: s}]\n")
	}
	prints := func(want string, args ...string) {
		t.Helper()
		e := call(t, append([]string{"config", "print"}, args...)...)
		require.Zero(t, e.code, e.errs)
		require.Contains(t, e.out, `key: "`+want+`"`)
		require.Empty(t, e.errs, "the command's own variables are no reason to warn")
	}
	e := call(t, "config", "print")
	require.Equal(t, 3, e.code)
	require.Contains(t, e.errs, "no configuration")

	require.NoError(t, os.WriteFile("etc.yaml", file("in-etc"), 0o600))
	prints("in-etc")
	require.NoError(t, os.WriteFile("ami.yaml", file("here"), 0o600))
	prints("here")
	require.NoError(t, os.WriteFile("other.yaml", file("of-env"), 0o600))
	t.Setenv("AMI_CONFIG", "other.yaml")
	prints("of-env")
	require.NoError(t, os.WriteFile("third.yaml", file("of-flag"), 0o600))
	prints("of-flag", "--config", "third.yaml")

	t.Setenv("AMI_SECRET", "canary")
	prints("pbx9.example.com", "--addr", "pbx9.example.com:5039", "--user", "u", "--tls")
	prints("server", "--addr", "[2001:db8::1]:5038", "--user", "u")
	t.Setenv("AMI_KEEPALIV_INTERVAL", "20s")
	e = call(t, "config", "print")
	require.Contains(t, e.errs, "AMI_KEEPALIV_INTERVAL: unknown key: did you mean AMI_KEEPALIVE_INTERVAL?")
}

// TestFlagsOfOneServer: what is wrong with them is said in their own names.
func TestFlagsOfOneServer(t *testing.T) {
	secret := write(t, "secret", "canary\n")
	for _, tc := range []struct {
		name, args string
		code       int
		says       string
	}{
		{"user alone", "--user u", 2, "need --addr"},
		{"address alone", "--addr h", 2, "--addr needs --user"},
		{"no secret", "--addr h --user u", 2, "--secret-file or $AMI_SECRET"},
		{"both", "--addr h --config f", 2, "one of the two"},
		{"ca without tls", "--addr h --user u --secret-file " + secret + " --ca f", 2, "--ca needs --tls"},
		{"no such file", "--addr h --user u --secret-file /does/not/exist", 3, "--secret-file"},
		{"no such ca", "--addr h --user u --secret-file " + secret + " --tls --ca /does/not/exist", 3, "--ca"},
		{"no address", "--addr h:x --user u --secret-file " + secret, 3, "--addr"},
		{"good", "--addr h --user u --secret-file " + secret, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"config", "print"}, strings.Fields(tc.args)...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Contains(t, e.errs, tc.says)
			require.NotContains(t, e.errs, "nodes[0]")
			require.NotContains(t, e.out+e.errs, "canary")
		})
	}
}

// TestConfigSchemaJSON: one object in a line, the same as without --json.
func TestConfigSchemaJSON(t *testing.T) {
	text, line := call(t, "config", "schema").out, call(t, "config", "schema", "--json").out
	require.JSONEq(t, text, line)
	require.Equal(t, 1, strings.Count(line, "\n"))
}
