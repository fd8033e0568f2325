package lease

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     Options
		field string // "": it is fine
	}{
		{"least", Options{Instance: "a"}, ""},
		{"all", Options{Bucket: "B-1_x", Instance: strings.Repeat("i", 255), Nodes: []string{"n"}, TTL: MaxTTL, Grace: MaxGrace, Replicas: 5}, ""},
		{"bucket", Options{Instance: "a", Bucket: "a.b"}, "Bucket"},
		{"no instance", Options{}, "Instance"},
		{"long instance", Options{Instance: strings.Repeat("i", 256)}, "Instance"},
		{"short ttl", Options{Instance: "a", TTL: MinTTL - 1}, "TTL"},
		{"long ttl", Options{Instance: "a", TTL: MaxTTL + 1}, "TTL"},
		{"negative ttl", Options{Instance: "a", TTL: -1}, "TTL"},
		{"negative grace", Options{Instance: "a", Grace: -1}, "Grace"},
		{"long grace", Options{Instance: "a", Grace: MaxGrace + 1}, "Grace"},
		{"replicas", Options{Instance: "a", Replicas: 6}, "Replicas"},
		{"negative replicas", Options{Instance: "a", Replicas: -1}, "Replicas"},
		{"empty node", Options{Instance: "a", Nodes: []string{"x", ""}}, "Nodes"},
		{"long node", Options{Instance: "a", Nodes: []string{strings.Repeat("n", 256)}}, "Nodes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(nil, tc.o)
			if tc.field == "" {
				require.NoError(t, err)
				return
			}
			var wrong *OptionError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, tc.field, wrong.Field)
			require.Contains(t, err.Error(), tc.field)
		})
	}
	o, err := Options{Instance: "a", Nodes: []string{"y", "x", "y"}}.complete()
	require.NoError(t, err)
	require.Equal(t, []string{"x", "y"}, o.Nodes)
	require.Equal(t, DefaultBucket, o.Bucket)
	require.Equal(t, 5*time.Second, o.TTL)
	require.Equal(t, DefaultGrace, o.Grace)
	require.Equal(t, 1, o.Replicas)
	require.NotNil(t, o.Logger)
}
