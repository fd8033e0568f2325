package exported

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go": `package a
type Option func(*config)
type config struct{}
type (
	Node struct{}
	hidden int
)
func WithWait(d time.Duration, a, b int) Option { return nil }
func withLess(int) Option { return nil }
func New() (Node, error) { return Node{}, nil }
func (Node) With() Option { return nil }
func WithName(names ...string) Option { return nil }
`,
		"a_test.go": "package a\ntype Tested int\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	p, err := Read(dir)
	require.NoError(t, err)
	require.Equal(t, &Package{
		Types:   []string{"Node", "Option"},
		Options: map[string][]string{"WithWait": {"time.Duration", "int", "int"}, "WithName": {"…"}},
	}, p)
	_, err = Read(filepath.Join(dir, "missing"))
	require.Error(t, err)
}
