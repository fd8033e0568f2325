package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// FuzzParse: whatever the file and the environment hold, there is either a
// configuration that the schema takes, that prints as one, and that is the same
// when it is read again, or Errors that do not show the secret.
func FuzzParse(f *testing.F) { // H1, G2
	for _, seed := range []string{
		"", oneNode, "defaults: {username: u, secret: {env: X}, tls: {min_version: 1.3}}\nnodes:\n- &a {key: a, addr: h}\n- {<<: *a}\n",
		oneNode + "keepalive: {interval: 20s}\nlimits: {frame: 64KiB, line: 1024}\nredaction: {names: [\"(\"]}\nweight: 3\n",
		"a: b: c", "nodes: &a [*a]", "nodes:\n  - secret: *" + canary, "secret: {? [" + canary + "]: x}", "? [a]\n: b\n", "%YAML 1.1\n---\n- x\n", "\xff\xfea\x00",
		"nodes: [{key: a, addr: '[::1]:5038', username: \"\\u00fc\", secret: '" + canary + "', events: off, weight: 100}]\nliteral_addresses: true\ndefault_node: a\n",
	} {
		f.Add(seed, "100")
	}
	schema := compile(f)
	f.Fuzz(func(t *testing.T, file, env string) {
		if strings.Contains(file, "file:") || strings.Contains(file, "ca:") || strings.Contains(file, "certificate:") || strings.Contains(file, "\"") && strings.Contains(file, "\\") {
			return // no files of the machine
		}
		environ := []string{"AMI_EVENT_QUEUE=" + env, "X=" + canary}
		c, err := Parse([]byte(file), environ)
		if err != nil {
			found, ok := errors.AsType[Errors](err)
			require.True(t, ok)
			require.NotEmpty(t, found)
			for i, e := range found {
				require.Error(t, e.Err)
				require.True(t, i == 0 || found[i-1].Line <= e.Line)
			}
			if strings.Contains(file, "secret: "+canary) && strings.Count(file, canary) == 1 {
				require.NotContains(t, err.Error(), canary)
			}
			return
		}
		text := c.String()
		if !strings.Contains(file, canary) {
			require.NotContains(t, text, canary)
		}
		again, err := Parse([]byte(text), environ[1:])
		require.NoError(t, err, "%s", text)
		require.Empty(t, c.differing(again))
		require.Equal(t, withoutComments(text), withoutComments(again.String()))
		require.NoError(t, schema.Validate(asJSON(t, []byte(text))))

		var v any
		if yaml.Load([]byte(file), &v) != nil {
			return // a duplicate or a merge that the library refuses and that is none here
		}
		if b, err := json.Marshal(v); err == nil {
			var clean any
			require.NoError(t, json.Unmarshal(b, &clean))
			if env == "" && !hasInheritance(file) {
				require.NoError(t, schema.Validate(clean))
			}
		}
	})
}

// hasInheritance is true of files in which the schema cannot see all.
func hasInheritance(file string) bool { return strings.Contains(file, "defaults") }
