package redact

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFileName(t *testing.T) { // G2
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "here"), nil, 0o600))
	t.Chdir(filepath.Join(dir, "sub"))
	for _, tc := range []struct {
		name, file string
		shown      bool
	}{
		{"secret", "hunter2", false},
		{"empty", "", true}, // the directory itself
		{"file", "here", true},
		{"directory", "sub", true},
		{"missing below a directory", "sub/a/b", true},
		{"missing, absolute", filepath.Join(dir, "x", "y"), true},
		{"missing, here", "./x", true},
		{"missing, above", "../x", true},
		{"slash in front", "/hunter2", false},
		{"two slashes", "/hunter2/x", false},
		{"many slashes", "///hunter2", false},
		{"slash behind", "hunter2/", false},
		{"slash within", "hun/ter2", false},
		{"below a file", "here/hunter2", false},
		{"lines", "here\n", false},
		{"NUL", "here\x00", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := Mask
			if tc.shown {
				want = tc.file
			}
			require.Equal(t, want, FileName(tc.file, dir))
		})
	}
	require.Equal(t, "../here", FileName("../here", ""), "below the working directory")
	require.Equal(t, Mask, FileName("here", ""))
}
