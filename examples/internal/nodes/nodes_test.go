package nodes_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/examples/internal/nodes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("canary\n"), 0o600))
	f := nodes.New("test")
	require.NoError(t, f.Parse([]string{"-tls", "-for", "3s", "-node", "a=me:" + file + "@pbx1:5039", "-node", "b@x=you:" + file + "@pbx2:1"}))
	list, stop := f.Start()
	defer stop()
	require.Len(t, list, 2)
	require.Equal(t, "a (pbx1:5039)", list[0].String())
	require.Equal(t, "me", list[0].Username)
	require.Equal(t, "canary", list[0].Secret.Reveal())
	require.NotNil(t, list[0].TLS)
	require.Equal(t, "b@x (pbx2:1)", list[1].String())
	require.Equal(t, 3*time.Second, f.Length)
}

func TestFakes(t *testing.T) {
	f := nodes.New("test")
	require.NoError(t, f.Parse(nil))
	require.Equal(t, 5*time.Second, f.Length)
	list, stop := f.Start()
	defer stop()
	require.Len(t, list, 3)
	require.Equal(t, "fake1", list[0].Key)
}

func TestWrongFlags(t *testing.T) {
	for says, args := range map[string][]string{
		"not defined":                          {"-fast"},
		"unexpected argument":                  {"now"},
		"must be positive":                     {"-for", "0s"},
		"-tls needs -node":                     {"-tls"},
		"want key=user:secretfile@host:port":   {"-node", "a"},
		"-node: want key=user:secretfile@host": {"-node", "a=b@c"},
		"no such file":                         {"-node", "a=u:/does/not/exist@h:1"},
	} {
		require.ErrorContains(t, nodes.New("test").Parse(args), says)
	}
	err := nodes.New("test").Parse([]string{"-h"})
	require.ErrorIs(t, err, flag.ErrHelp)
	require.ErrorContains(t, err, "secretfile@host:port")
}
