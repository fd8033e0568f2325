package embedded_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami"
	"github.com/apn/ami/bridge/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what a test waits for; only a failure takes that long.
const soon = 2 * time.Minute

func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err)
	return s
}

// TestDataStays: what a server has stored is there in the next one, and the
// directory is free once Close has returned.
func TestDataStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	for run := range uint64(3) {
		s := start(t, embedded.Options{Dir: dir})
		require.Empty(t, s.URL())
		nc, err := nats.Connect("", nats.InProcessServer(s), nats.Timeout(soon))
		require.NoError(t, err)
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(soon))
		require.NoError(t, err)
		_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		require.NoError(t, err)
		ack, err := js.Publish(t.Context(), "s", []byte("x"))
		require.NoError(t, err)
		require.Equal(t, run+1, ack.Sequence)
		nc.Close()
		require.NoError(t, s.Close())
	}
}

func TestPort(t *testing.T) {
	s := start(t, embedded.Options{Dir: t.TempDir(), Port: embedded.AnyPort, User: "u", Password: ami.NewSecret("p")})
	defer func() { require.NoError(t, s.Close()) }()
	require.Regexp(t, `^nats://127\.0\.0\.1:\d+$`, s.URL())
	_, err := nats.Connect(s.URL(), nats.Timeout(soon))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := nats.Connect(s.URL(), nats.UserInfo("u", "p"), nats.Timeout(soon))
	require.NoError(t, err)
	nc.Close()
}

func TestTaken(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Options{Dir: dir, Port: embedded.AnyPort})
	_, text, err := net.SplitHostPort(strings.TrimPrefix(s.URL(), "nats://"))
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)

	_, err = embedded.Start(t.Context(), embedded.Options{Dir: dir})
	taken, ok := errors.AsType[*embedded.TakenError](err)
	require.True(t, ok, err)
	require.Equal(t, "directory", taken.What)

	other := t.TempDir()
	_, err = embedded.Start(t.Context(), embedded.Options{Dir: other, Port: port})
	taken, ok = errors.AsType[*embedded.TakenError](err)
	require.True(t, ok, err)
	require.Equal(t, "port", taken.What)

	require.NoError(t, s.Close())
	s = start(t, embedded.Options{Dir: dir, Port: port})
	require.NoError(t, s.Close())
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]embedded.Options{
		"no directory":   {},
		"port":           {Dir: "x", Port: 70000},
		"user alone":     {Dir: "x", User: "u"},
		"store":          {Dir: "x", MaxStore: -1},
		"memory":         {Dir: "x", MaxMemory: -1},
		"connections":    {Dir: "x", MaxConnections: -1},
		"password alone": {Dir: "x", Password: ami.NewSecret("p")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := embedded.Start(t.Context(), o)
			_, ok := errors.AsType[*ami.ConfigError](err)
			require.True(t, ok, err)
		})
	}
}

// TestBadDirectory: what the server has against its directory is told, and
// nothing goes on.
func TestBadDirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600))
	_, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	require.ErrorContains(t, err, "JetStream")
	_, err = embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(dir, "jetstream")})
	require.Error(t, err)
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	for range 3 { // it may have started by then
		s, err := embedded.Start(ctx, embedded.Options{Dir: dir})
		if err == nil {
			require.NoError(t, s.Close())
			continue
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, start(t, embedded.Options{Dir: dir}).Close())
}

// TestBounds: the server takes no more than MaxStore.
func TestBounds(t *testing.T) {
	s := start(t, embedded.Options{Dir: t.TempDir(), MaxStore: 1 << 20})
	defer func() { require.NoError(t, s.Close()) }()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Timeout(soon))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(soon))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "T", Subjects: []string{"t"}, MaxBytes: 2 << 20})
	require.Error(t, err)
	for range 30 {
		if _, err = js.Publish(t.Context(), "s", make([]byte, 100<<10)); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "resource")
}
