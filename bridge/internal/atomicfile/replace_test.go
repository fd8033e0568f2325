package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/bridge/internal/atomicfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestReplace: the new content, for the owner alone, and nothing beside it; what
// cannot be written leaves the old.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	for _, sync := range []bool{false, true} {
		for _, content := range []string{"one", "", "a longer one"} {
			require.NoError(t, atomicfile.Replace(path, []byte(content), sync))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, string(got))
		}
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)

	require.NoError(t, os.Mkdir(path+".tmp", 0o700)) // in the way
	require.Error(t, atomicfile.Replace(path, []byte("new"), true))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a longer one", string(got))
	require.Error(t, atomicfile.Replace(filepath.Join(dir, "missing", "state"), nil, true))
}
