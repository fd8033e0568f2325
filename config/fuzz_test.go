package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
		f.Add(seed, "")
	}
	schema := compile(f)
	f.Fuzz(func(t *testing.T, file, env string) {
		if strings.Contains(file, "file") || strings.Contains(file, "ca") && strings.Contains(file, "tls") || strings.Contains(file, `\`) {
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
			if strings.Count(file, canary) == 1 && strings.Contains(file, "secret: "+canary) {
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

		if env == "" { // nothing but the file
			require.NoError(t, schema.Validate(asJSON(t, []byte(file))))
		}
	})
}
