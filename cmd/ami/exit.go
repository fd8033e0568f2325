package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConfig      = 3
	exitInterrupted = 130
)

// exitCodesTopic is what "ami help exit-codes" prints.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `The exit codes of all commands:

    0  It was done. Also: bridge, listen, record, replay, simulate, top and
       demo, which run until they are told to end, were told so (Ctrl-C,
       SIGTERM), and any command whose reader has gone ("ami listen | head -1").
       A node that is down is a row of top, and no failure.
    1  A node could not be reached, refused, or failed; with many nodes, at
       least one of them. Also: the call of originate was not answered, doctor
       has found something, or the output could not be written.
    2  The call was wrong: an unknown command, flag, node or action, a value
       that is not allowed. Nothing was sent.
    3  The configuration is wrong, or there is none. Nothing was sent.
  130  It was interrupted (Ctrl-C, SIGTERM) before its end.`,
	}
}

// A usageError is a wrong call. One without a cause has been explained already.
type usageError struct{ err error }

func (e *usageError) Error() string {
	if e.err == nil {
		return "wrong call"
	}
	return e.err.Error()
}

func (e *usageError) Unwrap() error { return e.err }

// wrong makes a usageError.
func wrong(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// A failedError reports nodes that failed. What failed was printed with each.
type failedError struct{ failed, of int }

func (e *failedError) Error() string {
	return fmt.Sprintf("%d of %d nodes failed", e.failed, e.of)
}

// errSaid is the error of a command that has said already what failed.
var errSaid = errors.New("failed")

// end says on stderr how a command has ended, and returns the exit code.
func (a *app) end(ctx context.Context, cmd *cobra.Command, err error) int {
	if a.out.stuck {
		return exitFailed // said already
	}
	a.out.flush()
	gone := context.Cause(ctx)
	wrong, isWrong := errors.AsType[*usageError](err)
	_, isConfig := errors.AsType[*configError](err)
	switch {
	case errors.Is(gone, errReader):
		return exitOK
	case a.out.err != nil:
		a.say("%s: output: %v", path(cmd), a.out.err)
		return exitFailed
	case err == nil:
		return exitOK
	case isWrong && wrong.err == nil:
		return exitUsage
	case isWrong, !a.started:
		a.say("%s: %v\nUsage: %s\n\"%s --help\" shows examples.", path(cmd), err, cmd.UseLine(), path(cmd))
		return exitUsage
	case isConfig:
		a.say("%v", err) // it names file and line
		return exitConfig
	case gone != nil:
		a.say("%s: interrupted", path(cmd))
		return exitInterrupted
	case errors.Is(err, errSaid):
		return exitFailed
	default:
		a.say("%s: %v", path(cmd), err)
		return exitFailed
	}
}
