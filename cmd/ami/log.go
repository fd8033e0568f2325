package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami/asynclog"
)

// logPatience is how long the end of a command waits for its log.
const logPatience = time.Second

// logFlag gives a command the flag --log-level.
func logFlag(cmd *cobra.Command) *slog.LevelVar {
	level := new(slog.LevelVar)
	cmd.Flags().TextVar(level, "log-level", level, "the least `level` to log on stderr: debug, info, warn or error")
	_ = cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return level
}

// log returns a logger to stderr that makes nobody wait, and what ends it.
func (a *app) log(level slog.Leveler) (*slog.Logger, func(), error) {
	h, err := asynclog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	if err != nil {
		return nil, nil, err
	}
	return slog.New(h), func() {
		ctx, cancel := context.WithTimeout(context.Background(), logPatience)
		defer cancel()
		_ = h.Close(ctx) // a terminal that was stopped takes no word of it either
	}, nil
}
