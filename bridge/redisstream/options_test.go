package redisstream_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/redisstream"
)

func TestOptions(t *testing.T) {
	const url = "redis://127.0.0.1:1"
	for _, tc := range []struct {
		name string
		o    redisstream.Options
		key  string // "": it is right
	}{
		{"no URL", redisstream.Options{}, "URL"},
		{"no URL at all", redisstream.Options{URL: "redis://u:hidden@%zz"}, "URL"},
		{"another scheme", redisstream.Options{URL: "nats://127.0.0.1"}, "URL"},
		{"no scheme", redisstream.Options{URL: "localhost:6379"}, "URL"},
		{"no host", redisstream.Options{URL: "redis:///0"}, "URL"},
		{"a password in the URL", redisstream.Options{URL: "redis://u:hidden@127.0.0.1"}, "URL"},
		{"a query", redisstream.Options{URL: url + "?password=hidden"}, "URL"},
		{"no database", redisstream.Options{URL: url + "/ami"}, "URL"},
		{"a negative database", redisstream.Options{URL: url + "/-1"}, "URL"},
		{"TLS without", redisstream.Options{URL: url, TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, "TLS"},
		{"a user alone", redisstream.Options{URL: url, User: "u"}, "User"},
		{"bad prefix", redisstream.Options{URL: url, Prefix: "a*"}, "Prefix"},
		{"long prefix", redisstream.Options{URL: url, Prefix: strings.Repeat("a", 101)}, "Prefix"},
		{"bad length", redisstream.Options{URL: url, MaxLen: -2}, "MaxLen"},
		{"bad record", redisstream.Options{URL: url, MaxRecord: -1}, "MaxRecord"},
		{"bad dialing", redisstream.Options{URL: url, DialTimeout: -1}, "DialTimeout"},
		{"bad waiting", redisstream.Options{URL: url, AckTimeout: -1}, "AckTimeout"},
		{"the least", redisstream.Options{URL: "redis://localhost"}, ""},
		{"a password alone", redisstream.Options{URL: "rediss://[::1]:7000/15", Password: ami.NewSecret("hidden"), Prefix: "{a}:b", MaxLen: -1}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.o.Lazy = true
			b, err := redisstream.Open(context.Background(), tc.o)
			if tc.key == "" {
				require.NoError(t, err)
				require.NoError(t, b.Close())
				return
			}
			var bad *ami.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, "Options."+tc.key, bad.Key)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}
