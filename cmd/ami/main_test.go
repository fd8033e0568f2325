package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/amitest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asCommand makes the test binary be the command.
const asCommand = "TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// process makes a real process of the command.
func process(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// A process of a race build would wait for a second at its end.
	cmd.Env = append(os.Environ(), asCommand+"=1", strings.TrimSpace("GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	return cmd
}

// An ended is what a call of the command has left.
type ended struct {
	code      int
	out, errs string
}

// call runs the command in this process.
func call(t *testing.T, args ...string) ended {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(within(t), args, &out, &errs)
	return ended{code, out.String(), errs.String()}
}

// golden compares a text with a file of testdata. What differs from run to run is
// replaced in the text first: pairs of a regular expression and what stands for it.
func golden(t *testing.T, name, text string, replace ...string) {
	t.Helper()
	for i := 0; i < len(replace); i += 2 {
		text = regexp.MustCompile(replace[i]).ReplaceAllString(text, replace[i+1])
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), text)
}

// write writes a file into a folder that is gone after the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// fake starts a fake Asterisk on TCP. It is patient: on a busy machine it may take
// more than the 100 ms of Asterisk until a process gets to read.
func fake(t *testing.T, opts ...amitest.Option) *amitest.Server {
	t.Helper()
	srv := amitest.NewServer(append([]amitest.Option{amitest.WithTCP(), amitest.WithWriteTimeout(soon)}, opts...)...)
	t.Cleanup(srv.Close)
	return srv
}

// nodes writes a configuration of servers: pbx1, pbx2 ...
func nodes(t *testing.T, servers ...*amitest.Server) string {
	t.Helper()
	return write(t, "ami.yaml", yaml(servers...))
}

func yaml(servers ...*amitest.Server) string {
	var b strings.Builder
	b.WriteString("defaults: {username: admin, secret: secret}\nnodes:\n")
	for i, srv := range servers {
		b.WriteString("- {key: pbx" + string(rune('1'+i)) + ", addr: \"" + srv.Addr() + "\"}\n")
	}
	return b.String()
}
