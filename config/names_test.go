package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
)

// TestSecretInPlaceOfAName: who writes the secret where a file or a variable is to
// be named finds out what is wrong and where, and the secret is not shown. A name
// that is one is.
func TestSecretInPlaceOfAName(t *testing.T) { // G2, H1
	dir := t.TempDir()
	cert := filepath.Join(dir, "cert.pem")
	require.NoError(t, os.WriteFile(cert, []byte("x"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	file := func(name string) string { return "secret: {file: '" + name + "'}" }
	key := func(name string) string { return "secret: s, tls: {certificate: cert.pem, key: '" + name + "'}" }
	env := func(name string) string { return "secret: {env: '" + name + "'}" }
	for _, tc := range []struct {
		name, line, secret string
		path               string
		shown              bool
	}{
		{"secret", file("hunter2"), "hunter2", "secret.file", false},
		{"Base64", file("aHVudGVy/Mg+x="), "aHVudGVy", "secret.file", false},
		{"Base64 with a slash in front", file("/aHVudGVyMg"), "aHVudGVyMg", "secret.file", false},
		{"Base64 with two slashes", file("/aHVud/GVyMg"), "GVyMg", "secret.file", false},
		{"too long for a name", file(longSecret), longSecret[:40], "secret.file", false},
		{"NUL", "secret: {file: \"hunter2\\0x\"}", "hunter2", "secret.file", false},
		{"directory", file("sub"), "sub", "secret.file", true},
		{"file that is missing", file(dir + "/missing"), dir + "/missing", "secret.file", true},
		{"file that is missing, relative", file("sub/missing"), "sub/missing", "secret.file", true},
		{"file that is missing, here", file("./missing"), "missing", "secret.file", true},

		{"key", key("hunter2"), "hunter2", "tls.key", false},
		{"key, Base64", key("aHVudGVy/Mg+x="), "aHVudGVy", "tls.key", false},
		{"key that is missing", key(dir + "/missing"), dir + "/missing", "tls.key", true},
		{"PEM for a key", "secret: s, tls: {certificate: cert.pem, key: \"-----BEGIN KEY-----\\nhunter2\\n\"}", "hunter2", "tls.key", false},

		{"variable", env("hunter2"), "hunter2", "secret.env", false},
		{"variable, capitals", env("JBSWY3DPEHPK3PXP"), "JBSWY3DPEHPK3PXP", "secret.env", false},
		{"variable that is not set", env("AMI_PBX1_SECRET"), "AMI_PBX1_SECRET", "secret.env", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conf := filepath.Join(dir, "ami.yaml")
			require.NoError(t, os.WriteFile(conf, []byte("nodes:\n  - {key: a, addr: h, username: u, "+tc.line+"}\n"), 0o600))
			_, err := Load(conf, nil)
			e := one(t, err)
			require.Equal(t, "nodes[0]."+tc.path, e.Path)
			require.Equal(t, 2, e.Line)
			for _, text := range []string{forms(t, err), logged(err), forms(t, e), forms(t, e.Err), logged(e)} {
				if !tc.shown {
					require.NotContains(t, text, tc.secret)
				}
			}
			if tc.shown {
				require.ErrorContains(t, err, tc.secret)
			} else {
				require.ErrorContains(t, err, "not shown")
			}
			if tc.name == "secret" {
				require.ErrorIs(t, err, fs.ErrNotExist, "the reason is told")
				_, ok := errors.AsType[*ami.FileError](err)
				require.True(t, ok)
			}
		})
	}
	for name, line := range map[string]string{
		"number for a file":       "secret: {file: 12345678}",
		"number for a variable":   "secret: {env: 12345678}",
		"number for a key":        "secret: s, tls: {certificate: c, key: 12345678}",
		"true for a file":         "secret: {file: true}",
		"nothing to be secured":   "secret: s, tls: {enabled: false, key: '12345678'}",
		"key without certificate": "secret: s, tls: {key: '12345678'}",
	} {
		_, err := Parse([]byte("nodes: [{key: a, addr: h, username: u, "+line+"}]\n"), nil)
		require.NotEmpty(t, all(t, err), name)
		require.NotContains(t, forms(t, err)+logged(err), "12345678", name)
	}
	for _, variable := range []string{"AMI_DEFAULTS_SECRET_FILE", "AMI_DEFAULTS_SECRET_ENV"} {
		_, err := Parse([]byte("nodes: [{key: a, addr: h, username: u}]\n"), []string{variable + "=hunter2"})
		e := one(t, err)
		require.Equal(t, variable, e.Env)
		require.NotContains(t, forms(t, err)+logged(err), "hunter2")
	}
}

var longSecret = func() string {
	b := make([]byte, 4000)
	for i := range b {
		b[i] = 'a' + byte(i*7%26)
	}
	return string(b)
}()
