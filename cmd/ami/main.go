// Command ami shows the library at work; see "ami demo -h".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `ami drives Asterisk servers through the Asterisk Manager Interface.

Usage:

	ami demo [flags]   log in, ask, and watch events; on fake Asterisk servers unless --addr is given
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the command: 0 is success, 1 a failure, 2 a wrong call.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] != "demo" {
		_, _ = io.WriteString(stderr, usage)
		return 2
	}
	cfg, err := parseDemo(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprintln(stdout, strings.TrimPrefix(err.Error(), flag.ErrHelp.Error()+"\n\n"))
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "ami demo:", err)
		return 2
	}
	if err := demo(ctx, cfg, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "ami demo:", err)
		return 1
	}
	return 0
}
