package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// TestEnvironment: it comes before the file, and one source of the secret
// replaces another.
func TestEnvironment(t *testing.T) { // H1
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("from a file"), 0o600))
	const doc = "defaults: {username: u, secret: plain, tls: {ca: /no/such/file}}\nnodes: [{key: a, addr: h}]\nevent_queue: 99\n"
	c, err := Parse([]byte(doc), []string{
		"PATH=x", "odd", "AMI_EVENT_QUEUE=100", "AMI_READ_IDLE=", "AMI_LIMITS_FRAME=2MiB", "AMI_LITERAL_ADDRESSES=false",
		"AMI_DEFAULTS_USERNAME=v", "AMI_DEFAULTS_SECRET_FILE=" + file, "AMI_DEFAULTS_AUTH=md5", "AMI_DEFAULTS_TLS_ENABLED=false", "AMI_DEFAULT_NODE=a",
		"AMI_EVENT_QUEUE=101",
	})
	require.NoError(t, err)
	require.Contains(t, c.String(), "event_queue: 101 # AMI_EVENT_QUEUE")
	require.Empty(t, c.Warnings())
	n := c.Nodes()[0]
	require.Equal(t, "v", n.Username)
	require.Equal(t, ami.AuthMD5, n.Auth)
	require.Nil(t, n.TLSFunc)
	s, err := n.SecretFunc(t.Context())
	require.NoError(t, err)
	require.Equal(t, "from a file", s.Reveal())

	c, err = Parse([]byte("nodes: [{key: a, addr: h}]\n"), []string{"AMI_DEFAULTS_USERNAME=u", "AMI_DEFAULTS_SECRET_ENV=PASSWORD", "PASSWORD=x", "AMI_DEFAULTS_TLS_SERVER_NAME=pbx"})
	require.NoError(t, err)
	require.Equal(t, "x", c.Nodes()[0].Secret.Reveal())
	require.NotNil(t, c.Nodes()[0].TLSFunc, "as if the mapping stood in the file")

	_, err = Parse([]byte("nodes: [{key: a, addr: h}]\n"), []string{
		"AMI_DEFAULTS_SECRET=s", "AMI_DEFAULTS_SECRET_ENV=X", "AMI_DEFAULTS_AUTH=none", "AMI_DEFAULTS_TLS_CA=/no/such/file", "AMI_EVENT_QUEUE=many", "AMI_ACTION_LANES=9", "AMI_DEFAULTS_USERNAME=\xff\n",
	})
	require.EqualError(t, err, `config: action_lanes (AMI_ACTION_LANES) = 9: must be 0 to 8
defaults.auth (AMI_DEFAULTS_AUTH) = "none": not allowed: must be plain or md5
defaults.secret (AMI_DEFAULTS_SECRET): contradiction: more than one of the secret itself, file and env
defaults.tls.ca (AMI_DEFAULTS_TLS_CA): ami: file /no/such/file: no such file or directory
defaults.username (AMI_DEFAULTS_USERNAME) = "?\n": must not hold CR, LF or NUL, nor more than 900 bytes
event_queue (AMI_EVENT_QUEUE) = many: wrong type: must be a number, 16 to 1000000`)
}

// TestWarnings: of what is doubtful.
func TestWarnings(t *testing.T) { // G2, H1
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	write("open", "s\n", 0o644)
	write("closed", "s\n", 0o640)
	const doc = "defaults: {username: u}\nnodes:\n- {key: a, addr: h, secret: {file: open}}\n- {key: b, addr: h, secret: {file: closed}}\n- {key: c, addr: h, secret: plain}\n"
	warnings := func(mode os.FileMode, environ ...string) string {
		c, err := Load(write("ami.yaml", doc, mode), environ)
		require.NoError(t, err)
		var lines []string
		for _, w := range c.Warnings() {
			lines = append(lines, w.Error())
		}
		return strings.ReplaceAll(strings.Join(lines, "\n"), dir, "DIR")
	}
	require.Equal(t, "line 3: nodes[0].secret.file = DIR/open: stands in a file that everybody may read (mode 0644)", warnings(0o600))
	require.Equal(t, "AMI_CONNECT_LIMITS: unknown key: did you mean AMI_CONNECT_LIMIT?\nAMI_X: unknown key\n"+
		"line 3: nodes[0].secret.file = DIR/open: stands in a file that everybody may read (mode 0644)\n"+
		"line 5: nodes[2].secret: stands in a file that everybody may read", warnings(0o604, "AMI_X=1", "AMI_CONNECT_LIMITS=2", "AMIX=3", "AMI_=", "OTHER=x"))

	c, err := Load(write("ami.yaml", "nodes: [{key: a, addr: h, username: u}]", 0o644), []string{"AMI_DEFAULTS_SECRET=s"})
	require.NoError(t, err)
	require.Empty(t, c.Warnings(), "the secret is not in the file")
	c, err = Parse([]byte("nodes: [{key: a, addr: h, username: u, secret: {env: AMI_SECRET}}]"), []string{"AMI_SECRET=x"})
	require.NoError(t, err)
	require.Empty(t, c.Warnings(), "the file names it")
}

// TestPathsStartAtTheFile: not where the program was started.
func TestPathsStartAtTheFile(t *testing.T) { // H1
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600))
	path := filepath.Join(dir, "ami.yaml")
	require.NoError(t, os.WriteFile(path, []byte("nodes: [{key: a, addr: h, username: u, secret: {file: secret}}]"), 0o600))
	c, err := Load(path, nil)
	require.NoError(t, err)
	_, err = c.Nodes()[0].SecretFunc(t.Context())
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(path, []byte("nodes: []"), 0o600))
	_, err = Load(path, nil)
	require.ErrorContains(t, err, "config: "+path+": line 1: nodes")
	_, err = Load(filepath.Join(dir, "missing"), nil)
	e, ok := errors.AsType[*ami.FileError](err)
	require.True(t, ok)
	require.Equal(t, 1, strings.Count(e.Error(), "missing"))
}
