// Package linked tests what a program that uses the library carries of it.
package linked

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOnlyWhatIsUsed: a program that uses three actions and two kinds of event
// carries neither the code of the other actions nor the decoders of the other
// events (C7, F1).
func TestOnlyWhatIsUsed(t *testing.T) {
	small := build(t, "./testdata/small")
	out, err := exec.CommandContext(t.Context(), "go", "tool", "nm", small).Output()
	require.NoError(t, err)

	// What the program names, and the items of its two lists.
	require.Equal(t, []string{"CoreShowChannel", "Hangup", "Newchannel", "QueueEntry", "QueueMember", "QueueParams"},
		names(out, `ami/event\.\(\*(\w+)\)\.DecodeEvent`))
	// What the program names, and what the client sends by itself.
	require.Equal(t, []string{"Challenge", "CoreShowChannels", "Events", "Filter", "Getvar", "Login", "Ping", "QueueStatus"},
		names(out, `ami/action\.(\w+)\.AppendFields`))

	t.Logf("program with neither: %d KiB", size(t, build(t, "./testdata/bare")))
	t.Logf("with three actions and two kinds of event: %d KiB", size(t, small))
	t.Logf("with every event: %d KiB", size(t, build(t, "./testdata/every")))
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	return info.Size() >> 10
}

func build(t *testing.T, pkg string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, pkg).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

// names returns what pattern captures in out, sorted, once each.
func names(out []byte, pattern string) []string {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(out, -1) {
		found[string(m[1])] = true
	}
	return slices.Sorted(maps.Keys(found))
}
