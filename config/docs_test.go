package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/internal/setting"
)

const guide, example = "../docs/configuration.md", "../docs/ami.yaml"

// TestGuide: its tables are what the tables here say.
func TestGuide(t *testing.T) { // H1
	b, err := os.ReadFile(guide)
	require.NoError(t, err)
	want := string(b)
	for name, table := range map[string]string{"nodes": tableOf(nodeFields, "defaults."), "options": tableOf(optionFields, "")} {
		begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
		i := strings.Index(want, begin)
		require.Positive(t, i, name)
		j := strings.Index(want[i:], end)
		require.Positive(t, j, name)
		want = want[:i] + begin + table + want[i+j:]
	}
	if *update {
		require.NoError(t, os.WriteFile(guide, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(b), "run go generate")
}

func tableOf(fields []*field, prefix string) string {
	var b strings.Builder
	b.WriteString("| key | default | allowed | variable | |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range fields {
		env := ""
		if f.Kind != setting.Texts && !f.node {
			env = "`" + variable(prefix+f.Path) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Path, f.standard(), f.wants(), env, f.Doc)
	}
	return b.String()
}

// standard returns the default as one would write it.
func (f *field) standard() string {
	switch {
	case f.Number():
		return f.Show(f.Default)
	case f.Kind == setting.Flag && !strings.HasPrefix(f.Path, "tls."):
		return "false"
	default:
		return f.fallback
	}
}

// TestExample: it can be used as it is, and with every line that is commented out.
func TestExample(t *testing.T) { // H1
	b, err := os.ReadFile(example)
	require.NoError(t, err)
	c, err := Load(example, []string{"AMI_SECRET=s"})
	require.NoError(t, err)
	require.Len(t, c.Nodes(), 3)
	require.Equal(t, "pbx.example.com", c.nodes[1].files.ServerName)
	schema := compile(t)
	require.NoError(t, schema.Validate(asJSON(t, b)))

	dir := t.TempDir()
	_, cert, key := certificate(t)
	for name, text := range map[string][]byte{"ca.pem": cert, "app.pem": cert, "app.key": key, "pbx2.secret": []byte("s\n")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	whole := regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(string(b), "$1$2")
	whole = strings.ReplaceAll(whole, "/etc/ami/", dir+"/")
	all, err := Parse([]byte(whole), []string{"AMI_SECRET=s"})
	require.NoError(t, err)
	require.Equal(t, []string{"default_node", "redaction.values"}, c.differing(all), "all others are the defaults")
	require.Empty(t, all.Warnings())
	require.NoError(t, schema.Validate(asJSON(t, []byte(whole))))
	for _, f := range slices.Concat(optionFields, defaultFields) {
		for key := range strings.SplitSeq(f.Path, ".") {
			require.Regexp(t, `(?m)(^|[ {])`+key+`:`, whole, f.Path)
		}
	}
}
