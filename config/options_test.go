package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/setting"
)

// beside are the values that others must have for an option to use its whole
// range.
var beside = map[setting.ID][]string{
	setting.KeepaliveInterval: {"read_idle", "24h"},
	setting.BackoffBase:       {"backoff.floor", "1ms", "backoff.limit", "1h"},
	setting.BackoffLimit:      {"backoff.floor", "1ms", "backoff.base", "1ms"},
	setting.BackoffFloor:      {"backoff.base", "1h", "backoff.limit", "1h"},
	setting.AuthBackoffBase:   {"auth_backoff.limit", "24h"},
	setting.AuthBackoffLimit:  {"auth_backoff.base", "1ms"},
	setting.LimitLine:         {"limits.frame", "4MiB"},
	setting.LimitBuffer:       {"limits.frame", "64KiB"},
}

// TestWeightsInFile: likewise the weights of nodes, which are an option of the
// library.
func TestWeightsInFile(t *testing.T) { // D2, H1
	schema := compile(t)
	for _, tc := range []struct {
		weight string
		is     error
		fits   bool
	}{
		{"1", nil, true},
		{"100", nil, true},
		{"0", nil, false},
		{"-1", nil, false},
		{"101", nil, false},
		{"99999999999999999999", ErrType, false},
		{"1.5", ErrType, false},
		{"'1'", ErrType, false},
	} {
		file := []byte("nodes:\n- {key: a, addr: 192.0.2.1, username: u, secret: s, weight: " + tc.weight + "}\n")
		c, err := Parse(file, nil)
		require.Equal(t, tc.fits, schema.Validate(asJSON(t, file)) == nil, tc.weight)
		if tc.fits {
			require.NoError(t, err)
			require.Equal(t, tc.weight, strconv.Itoa(c.nodes[0].weight))
			continue
		}
		e := one(t, err)
		require.Equal(t, "nodes[0].weight", e.Path)
		require.Equal(t, strings.Trim(tc.weight, "'"), e.Value)
		require.Equal(t, 2, e.Line)
		if tc.is != nil {
			require.ErrorIs(t, e, tc.is)
		}
	}
}

// TestOptionsInFile: each option takes its bounds and nothing beyond them, in the
// file and in the environment, and the library agrees.
func TestOptionsInFile(t *testing.T) { // D2, B2, H1
	schema := compile(t)
	for i := range setting.Table {
		id, s := setting.ID(i), &setting.Table[i]
		if !s.Number() {
			continue
		}
		t.Run(s.Path, func(t *testing.T) {
			lowest := s.Min
			for _, v := range []int64{s.Min - 1, s.Min, s.Default, s.Max, s.Max + 1, 0, -1} {
				around := slices.Clone(beside[id])
				if id == setting.ReadIdle { // it is above the interval, which is a second at least
					lowest = s.Min + 1
					around = []string{"keepalive.interval", time.Duration(min(max(v/2, int64(time.Second)), int64(time.Hour))).String()}
				}
				file := with(t, append(around, s.Path, written(s, v))...)
				c, err := Parse(file, nil)
				fromEnv, envErr := Parse(with(t, around...), []string{variable(s.Path) + "=" + written(s, v)})
				if v >= lowest && v <= s.Max {
					require.NoError(t, err)
					require.NoError(t, envErr)
					require.Equal(t, v, c.num(id))
					require.Equal(t, v, c.effective(id))
					require.Equal(t, v, fromEnv.num(id))
					require.NoError(t, schema.Validate(asJSON(t, file)))
					continue
				}
				e := one(t, err)
				require.Equal(t, s.Path, e.Path)
				require.Positive(t, e.Line)
				require.Equal(t, written(s, v), e.Value)
				require.Equal(t, s.Range(), e.Allowed)
				if s.Kind == setting.Count || s.Kind == setting.Bytes {
					require.Error(t, schema.Validate(asJSON(t, file)))
				}
				if ce, ok := errors.AsType[*ami.ConfigError](err); ok {
					require.Equal(t, s.Option, ce.Key)
				} else {
					require.ErrorIs(t, err, ErrValue)
					require.True(t, v == 0 && strings.HasPrefix(s.Path, "limits."), "the library says so, but for a zero that means the default in code")
				}
				e = one(t, envErr)
				require.Equal(t, s.Path, e.Path)
				require.Equal(t, variable(s.Path), e.Env)
				require.Zero(t, e.Line)
			}
		})
	}
}

// written returns a value as one would write it.
func written(s *setting.Setting, v int64) string {
	if s.Kind == setting.Duration {
		return time.Duration(v).String()
	}
	return strconv.FormatInt(v, 10)
}

// TestOtherOptions: those without a range reach the library as well.
func TestOtherOptions(t *testing.T) { // H1
	c, err := Parse(with(t, "default_node", "a", "literal_addresses", "true", "redaction.headers", "[Pin]", "redaction.names", "[^X-]", "redaction.values", "[sesame]"), nil)
	require.NoError(t, err)
	require.Len(t, c.Options(), 3)
	cl, err := ami.NewCluster(c.Nodes(), c.Options()...)
	require.NoError(t, err)
	require.NoError(t, cl.Close())
	_, err = ami.NewCluster([]ami.Node{{Key: "a", Addr: "pbx.example", Username: "u", Secret: ami.NewSecret("s")}}, c.Options()...)
	require.ErrorContains(t, err, "LiteralAddresses")

	e := one(t, parseErr(with(t, "default_node", "aa")))
	require.Equal(t, "default_node", e.Path)
	require.ErrorIs(t, e, ErrContradiction)
	require.ErrorContains(t, e, "did you mean a?")
	e = one(t, parseErr(with(t, "redaction.values", "[fine, '(sesame']")))
	require.Equal(t, "redaction.values[1]", e.Path)
	require.NotContains(t, forms(t, e), "sesame", "it may be the secret")

	c, err = Parse(with(t, "events_on_demand", "true"), nil)
	require.NoError(t, err)
	require.NotContains(t, c.String(), "events: ")
	cl, err = ami.NewCluster(c.Nodes(), c.Options()...)
	require.NoError(t, err)
	require.NoError(t, cl.Close())
	e = one(t, parseErr([]byte("events_on_demand: true\nnodes:\n- {key: a, addr: h, username: u, secret: s, events: call}\n")))
	require.Equal(t, "nodes[0].events", e.Path)
	require.Equal(t, 3, e.Line)

	c, err = Parse([]byte(oneNode), nil)
	require.NoError(t, err)
	require.Empty(t, c.Options(), "those with their defaults are left out")
	client, err := ami.New(c.Nodes()[0], c.Options()...)
	require.NoError(t, err, "and so one node may be used alone")
	require.NoError(t, client.Close())
}

func parseErr(data []byte) error {
	_, err := Parse(data, nil)
	return err
}

// TestContradictions: what the library finds names the paths of the file.
func TestContradictions(t *testing.T) { // B2, H1
	for _, tc := range []struct {
		name   string
		values []string
		want   []string
	}{
		{"idle", []string{"read_idle", "30s"}, []string{"line 1: read_idle = 30s: must be above keepalive.interval = 30s, or a quiet node is taken for a dead one"}},
		{"keepalive", []string{"keepalive.interval", "2m"}, []string{"line 2: read_idle = 1m30s: must be above keepalive.interval = 2m, or a quiet node is taken for a dead one"}},
		{"backoff", []string{"backoff.base", "1m"}, []string{"line 2: backoff.base = 1m: must be at most backoff.limit = 10s"}},
		{"floor", []string{"backoff.floor", "1m"}, []string{"line 2: backoff.floor = 1m: must be at most backoff.base = 500ms"}},
		{"auth", []string{"auth_backoff.limit", "1s"}, []string{"line 2: auth_backoff.base = 30s: must be at most auth_backoff.limit = 1s"}},
		{"buffer", []string{"limits.buffer", "1MiB"}, []string{"line 2: limits.buffer = 1MiB: must be 1048580 to 75497472: it contradicts Frame = 1048576 plus the delimiter of 4"}},
		{"line", []string{"limits.frame", "64KiB", "limits.line", "128KiB"}, []string{"line 3: limits.line = 128KiB: must be 1024 to 65536: it contradicts Frame = 65536"}},
		{"all", []string{"dial_timeout", "0s", "backoff.floor", "1m", "event_queue", "1"}, []string{
			"line 1: dial_timeout = 0s: must be 10ms to 5m",
			"line 3: backoff.floor = 1m: must be at most backoff.base = 500ms",
			"line 4: event_queue = 1: must be 16 to 1000000",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, e := range all(t, parseErr(with(t, tc.values...))) {
				got = append(got, e.Error())
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// TestVariables: no two paths have the same variable.
func TestVariables(t *testing.T) { // H1
	paths := 0
	for _, f := range optionFields {
		if f.Kind != setting.Texts {
			paths++
		}
	}
	require.Len(t, variables, paths+len(defaultFields))
	require.Equal(t, "defaults.secret.file", variables["AMI_DEFAULTS_SECRET_FILE"])
	require.Equal(t, "keepalive.interval", variables["AMI_KEEPALIVE_INTERVAL"])
	require.NotContains(t, variables, "AMI_DEFAULTS_KEY")
}
