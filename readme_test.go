package ami_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeProgram: the program in the README is the one that ExampleCluster
// runs (H3).
func TestReadmeProgram(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, program, ok := strings.Cut(string(source), "// callOnce places")
	require.True(t, ok)
	program, _, ok = strings.Cut(program, "\n}\n")
	require.True(t, ok)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```go\n// callOnce places"+program+"\n}\n```")
}
