// Command ami is the operator's command for Asterisk servers: it listens, asks,
// sends, checks and simulates. "ami help" lists what it can do.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a write fails instead, and ends the command in order
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command. It returns one of the exit codes.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a := &app{
		out: newOutput(stdout, stop), stderr: stderr,
		target: target{environ: os.Environ()},
	}
	root := a.root()
	strict(root)
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	cmd, err := root.ExecuteContextC(ctx)
	return a.end(ctx, cmd, err)
}
