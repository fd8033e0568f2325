package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCommittedFilesAreThoseGenerated: nobody edits them, and nobody forgets to
// generate (C7).
func TestCommittedFilesAreThoseGenerated(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.go")
	require.NoError(t, os.WriteFile(stale, []byte(header+"package action\n"), 0o600))
	require.NoError(t, run(dir, filepath.Join(dir, "actions.md")))
	require.NoFileExists(t, stale)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Greater(t, len(names), 20)
	for _, n := range names {
		want, err := os.ReadFile(filepath.Join(dir, n.Name()))
		require.NoError(t, err)
		at := filepath.Join("..", "..", "..", "action", n.Name())
		if n.Name() == "actions.md" {
			at = filepath.Join("..", "..", "..", "docs", n.Name())
		}
		got, err := os.ReadFile(at)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run go generate ./action")
	}
}

// TestHandWrittenFilesStay: a file of the same name is not overwritten.
func TestHandWrittenFilesStay(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "queue.go")
	require.NoError(t, os.WriteFile(own, []byte("package action\n"), 0o600))
	require.ErrorContains(t, run(dir, filepath.Join(dir, "actions.md")), "queue.go is written by hand")
	b, err := os.ReadFile(own)
	require.NoError(t, err)
	require.Equal(t, "package action\n", string(b))
}

// TestTablesNameWhatIsThere: a table of the generator that names no action is a
// slip.
func TestTablesNameWhatIsThere(t *testing.T) {
	c, err := catalog.Load()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, a := range c.Actions {
		names[a.Name] = true
	}
	for _, table := range []map[string]string{words, byHand, resultByHand, oneHeader, wordsByHand, handResults, strategyByHand} {
		for name := range maps.Keys(table) {
			require.True(t, names[name], name)
		}
	}
	for name := range byHand {
		require.NotEmpty(t, wordsByHand[name], name)
		require.NotEmpty(t, handResults[name], name)
	}
}
