package lease

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestVersion: a bucket of another layout is left as it is.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		key, value string
		found      int
	}{
		{"later", formatKey, `{"version":2}`, 2},
		{"not readable", formatKey, `version 2`, 0},
		{"no version", leasePrefix + "x", `{}`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, url string) {
				w := newWorld(t, url, 2)
				js := connect(t, url)
				kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: w.bucket})
				require.NoError(t, err)
				last, err := kv.PutString(t.Context(), tc.key, tc.value)
				require.NoError(t, err)
				a := w.join(t, "a")
				var version *VersionError
				require.ErrorAs(t, a.ended(), &version)
				require.Equal(t, &VersionError{Bucket: w.bucket, Found: tc.found, Wanted: layoutVersion}, version)
				after, err := kv.PutString(t.Context(), "another", "")
				require.NoError(t, err)
				require.Equal(t, last+1, after, "nothing was written")
			})
		})
	}
}

// TestVersionChanges: a bucket that gets another layout is left at once.
func TestVersionChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 2)
	a := w.join(t, "a")
	w.await(t, map[string]int{"a": 2})
	js := connect(t, w.url)
	kv, err := js.KeyValue(t.Context(), w.bucket)
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), formatKey, `{"version":3}`)
	require.NoError(t, err)
	var version *VersionError
	require.ErrorAs(t, a.ended(), &version)
	require.Equal(t, 3, version.Found)
	require.Empty(t, a.Held())
}

// TestExpiringBucket: a bucket that would lose leases is refused.
func TestExpiringBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 2)
	js := connect(t, w.url)
	_, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: w.bucket, TTL: time.Hour})
	require.NoError(t, err)
	var wrong *OptionError
	require.ErrorAs(t, w.join(t, "a").ended(), &wrong)
	require.Equal(t, "Bucket", wrong.Field)
}

// TestGarbage: values that cannot be read are counted and stand in nobody's way.
func TestGarbage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startBroker(t).ClientURL(), 2)
	js := connect(t, w.url)
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: w.bucket})
	require.NoError(t, err)
	for key, value := range map[string]string{
		formatKey:                          `{"version":1}`,
		leasePrefix + escape(w.nodes[0]):   `{`,
		leasePrefix + "=0":                 `{"instance":"x"}`,
		memberPrefix + "x":                 `[]`,
		listPrefix + "x":                   `7`,
		memberPrefix + escape("b.example"): `{"session":"s","ttl_ms":-5}`,
		"something/else":                   "",
	} {
		_, err = kv.PutString(t.Context(), key, value)
		require.NoError(t, err)
	}
	a := w.join(t, "a")
	w.await(t, map[string]int{"a": 2})
	require.EqualValues(t, 3, a.Stats().Unreadable)
}

// TestRace: of two that write the same key at the same time one comes first, and
// the other knows it, with and without a key that was there.
func TestRace(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, url string) {
		w := newWorld(t, url, 0)
		var kvs []jetstream.KeyValue
		for range 2 {
			kv, err := connect(t, url).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: w.bucket})
			require.NoError(t, err)
			kvs = append(kvs, kv)
		}
		race := func(do func(kv jetstream.KeyValue) error) {
			var errs [2]error
			var both sync.WaitGroup
			for i, kv := range kvs {
				both.Go(func() { errs[i] = do(kv) })
			}
			both.Wait()
			if errs[0] != nil {
				errs[0], errs[1] = errs[1], errs[0]
			}
			require.NoError(t, errs[0])
			require.Error(t, errs[1])
			require.True(t, outrun(errs[1]), "%v", errs[1])
		}
		for range 50 {
			race(func(kv jetstream.KeyValue) error {
				_, err := kv.Create(t.Context(), "node.x", nil)
				return err
			})
			e, err := kvs[0].Get(t.Context(), "node.x")
			require.NoError(t, err)
			race(func(kv jetstream.KeyValue) error {
				_, err := kv.Update(t.Context(), "node.x", nil, e.Revision())
				return err
			})
			e, err = kvs[0].Get(t.Context(), "node.x")
			require.NoError(t, err)
			race(func(kv jetstream.KeyValue) error {
				return kv.Delete(t.Context(), "node.x", jetstream.LastRevision(e.Revision()))
			})
		}
		require.False(t, outrun(errors.New("broken")))
	})
}
