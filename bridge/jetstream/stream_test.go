package jetstream_test

import (
	"errors"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/jetstream"
)

// TestStreamSettings: the stream gets what the options say, and that is found
// right the next time.
func TestStreamSettings(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		o.MaxAge, o.MaxBytes, o.DiscardNew, o.Replicas = time.Hour, 1<<20, true, 1
		open(t, o)
		open(t, o)
		o.MaxAge, o.MaxBytes, o.DiscardNew, o.Replicas = 0, 0, false, 0
		open(t, o) // says nothing against it
		stream, err := client(t, o).Stream(t.Context(), nameOf(o))
		require.NoError(t, err)
		c := stream.CachedInfo().Config
		require.Equal(t, time.Hour, c.MaxAge)
		require.Equal(t, int64(1<<20), c.MaxBytes)
		require.Equal(t, js.DiscardNew, c.Discard)
		require.Equal(t, js.FileStorage, c.Storage)
		require.Equal(t, jetstream.DefaultDuplicates, c.Duplicates)
	})
}

// TestStreamDiffers: a stream with other settings is told, setting by setting,
// and left as it is; Update widens it, and only that.
func TestStreamDiffers(t *testing.T) {
	base := js.StreamConfig{
		Name: "AMI", Subjects: []string{"ami.events.>"}, Storage: js.FileStorage,
		MaxAge: time.Hour, MaxBytes: 1 << 20, Duplicates: time.Minute,
	}
	for name, tc := range map[string]struct {
		have   func(*js.StreamConfig)
		want   jetstream.Options
		differ []string
		wider  bool
	}{
		"older":       {want: jetstream.Options{MaxAge: 2 * time.Hour}, differ: []string{"max_age"}, wider: true},
		"younger":     {want: jetstream.Options{MaxAge: time.Minute}, differ: []string{"max_age"}},
		"more":        {want: jetstream.Options{MaxBytes: 2 << 20}, differ: []string{"max_bytes"}, wider: true},
		"less":        {want: jetstream.Options{MaxBytes: 1 << 19}, differ: []string{"max_bytes"}},
		"duplicates":  {want: jetstream.Options{Duplicates: 2 * time.Minute}, differ: []string{"duplicate_window"}, wider: true},
		"subjects":    {want: jetstream.Options{Prefix: "other"}, differ: []string{"subjects"}, wider: true},
		"discard":     {want: jetstream.Options{MaxBytes: 1 << 20, DiscardNew: true}, differ: []string{"discard"}},
		"memory":      {have: func(c *js.StreamConfig) { c.Storage = js.MemoryStorage }, differ: []string{"storage"}},
		"queue":       {have: func(c *js.StreamConfig) { c.Retention = js.WorkQueuePolicy }, differ: []string{"retention"}},
		"no answers":  {have: func(c *js.StreamConfig) { c.NoAck = true }, differ: []string{"no_ack"}},
		"async":       {have: func(c *js.StreamConfig) { c.PersistMode = js.AsyncPersistMode }, differ: []string{"persist_mode"}},
		"more & less": {want: jetstream.Options{MaxAge: 2 * time.Hour, MaxBytes: 1}, differ: []string{"max_age", "max_bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := base
			if tc.have != nil {
				tc.have(&have)
			}
			o := tc.want
			o.Server = here(t)
			c := client(t, o)
			stream, err := c.CreateStream(t.Context(), have)
			require.NoError(t, err)
			before := stream.CachedInfo().Config

			_, err = jetstream.Open(t.Context(), o)
			differs, ok := errors.AsType[*jetstream.StreamError](err)
			require.True(t, ok, err)
			var settings []string
			for _, d := range differs.Differences {
				settings = append(settings, d.Setting)
				require.Contains(t, err.Error(), d.Setting+" is "+d.Have+", not "+d.Want)
			}
			require.Equal(t, tc.differ, settings)
			info, err := stream.Info(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, info.Config)

			o.Update = true
			b, err := jetstream.Open(t.Context(), o)
			require.Equal(t, tc.wider, err == nil, err)
			info, infoErr := stream.Info(t.Context())
			require.NoError(t, infoErr)
			if !tc.wider {
				require.Equal(t, before, info.Config)
				return
			}
			require.NotEqual(t, before, info.Config)
			require.NoError(t, b.Close())
			o.Update = false
			open(t, o)
		})
	}
}

// TestBadOptions: what cannot be is told before anything is done.
func TestBadOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		o   jetstream.Options
		key string
	}{
		"nothing":      {jetstream.Options{}, "URL"},
		"no URL":       {jetstream.Options{URL: "nats://a b:c"}, "URL"},
		"secret":       {jetstream.Options{URL: "nats://u:canary@h"}, "URL"},
		"stream":       {jetstream.Options{URL: "h", Stream: "a.b"}, "Stream"},
		"prefix":       {jetstream.Options{URL: "h", Prefix: "a..b"}, "Prefix"},
		"wildcard":     {jetstream.Options{URL: "h", Prefix: "a.*"}, "Prefix"},
		"no scheme":    {jetstream.Options{URL: "u:canary@h:1"}, "URL"},
		"credentials":  {jetstream.Options{URL: "h", CredentialsFile: "-----BEGIN\ncanary"}, "CredentialsFile"},
		"two users":    {jetstream.Options{URL: "h", User: "u", CredentialsFile: "f"}, "User"},
		"password":     {jetstream.Options{URL: "h", Password: ami.NewSecret("canary")}, "Password"},
		"replicas":     {jetstream.Options{URL: "h", Replicas: 6}, "Replicas"},
		"age":          {jetstream.Options{URL: "h", MaxAge: -1}, "MaxAge"},
		"duplicates":   {jetstream.Options{URL: "h", MaxAge: 1, Duplicates: 2}, "Duplicates"},
		"discard":      {jetstream.Options{URL: "h", DiscardNew: true}, "DiscardNew"},
		"max requests": {jetstream.Options{URL: "h", MaxRequests: -1}, "MaxRequests"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jetstream.Open(t.Context(), tc.o)
			bad, ok := errors.AsType[*ami.ConfigError](err)
			require.True(t, ok, err)
			require.Equal(t, "Options."+tc.key, bad.Key)
			require.NotContains(t, err.Error(), "canary")
		})
	}
	t.Run("the server's view", func(t *testing.T) {
		_, err := jetstream.Open(t.Context(), jetstream.Options{Server: here(t), Replicas: 3})
		api, ok := errors.AsType[*js.APIError](err)
		require.True(t, ok, err)
		require.NotZero(t, api.ErrorCode)
	})
}

// TestPutState: the bucket has the latest state of each node.
func TestPutState(t *testing.T) {
	inEach(t, func(t *testing.T, o jetstream.Options) {
		b := open(t, o)
		for _, state := range []string{"connecting", "ready"} {
			for _, node := range []string{"a.b@c", "any", "*"} {
				require.NoError(t, b.PutState(t.Context(), bridge.NodeState{Node: node, Instance: "i", State: state, Epoch: 3}))
			}
		}
		require.Equal(t, nameOf(o)+"_STATES", b.Bucket())
		kv, err := client(t, o).KeyValue(t.Context(), b.Bucket())
		require.NoError(t, err)
		keys, err := kv.Keys(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a=2Eb=40c", "=61ny", "=2A"}, keys)
		e, err := kv.Get(t.Context(), "a=2Eb=40c")
		require.NoError(t, err)
		require.JSONEq(t, `{"node":"a.b@c","instance":"i","state":"ready","epoch":3,"since":"0001-01-01T00:00:00Z"}`, string(e.Value()))
		history, err := kv.History(t.Context(), "=61ny")
		require.NoError(t, err)
		require.Len(t, history, 1)

		require.NoError(t, client(t, o).DeleteKeyValue(t.Context(), b.Bucket()))
		require.Eventually(t, func() bool { // the first call finds it gone, the next makes it
			return b.PutState(t.Context(), bridge.NodeState{Node: "a"}) == nil
		}, soon, time.Millisecond)
	})
}
