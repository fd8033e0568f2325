package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCollector(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-for", "8s"}, &out))
	require.Regexp(t, `(?m)^ *fake1 +[1-9]\d* +[1-9]\d* +\d+ +0$`, out.String())
	require.Regexp(t, `(?m)^ *fake2 +[1-9]\d* +[1-9]\d* +\d+ +1$`, out.String())
	require.Contains(t, out.String(), "fake2: away for")
	require.NotContains(t, out.String(), "never connected")
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	srv := amitest.NewServer(amitest.WithTCP())
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("canary"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-for", "8s", "-node", "pbx1=admin:" + secret + "@" + srv.Addr()}, &out))
	require.Contains(t, out.String(), "pbx1 was never connected: ")
	require.Contains(t, out.String(), "login refused")
	require.NotContains(t, out.String(), "canary")
	require.Error(t, run(t.Context(), []string{"-for", "soon"}, &out))
}

func TestLossIsTold(t *testing.T) {
	events := make(chan event.Event, 2)
	f, err := frame.Parse("Event: Hangup\r\n\r\n")
	require.NoError(t, err)
	events <- event.Event{Node: "a", Frame: f}
	events <- event.Event{Node: "b", Frame: f, Lost: 7, Time: time.Now()}
	close(events)
	var out bytes.Buffer
	counts := collect(events, &out)
	require.Equal(t, &count{events: 1, hangups: 1}, counts["b"])
	require.Contains(t, out.String(), "7 events were dropped")
}
