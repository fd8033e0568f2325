package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/config"
)

// A recorder is one call of "ami record".
type recorder struct {
	app *app

	name           string
	force          bool
	length         time.Duration
	frames, buffer int

	node string
	tape tape
}

// A recorded is what "ami record" has recorded.
type recorded struct {
	Node      string  `json:"node"`
	File      string  `json:"file"`
	Events    uint64  `json:"events"`
	Bytes     int64   `json:"bytes"` // of the file
	Seconds   float64 `json:"seconds"`
	Lost      uint64  `json:"lost"`
	Gaps      uint64  `json:"gaps"`
	Discarded uint64  `json:"discarded"`
	Error     string  `json:"error,omitempty"`
}

// recordCommand is "ami record".
func (a *app) recordCommand() *cobra.Command {
	r := &recorder{app: a}
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Write the events of a node to a file, to play them back",
		Long: `Writes all events that a node sends, byte for byte and with times, to a file that
"ami replay" plays back. It runs until it is told to end, and prints then what it
has recorded. It reconnects for ever; that the node was away stands in the file.

The file is a text with a line before each event; "less" shows it, and
docs/command.md describes it. It holds names and numbers of callers: only its owner
may read it. Secrets are hidden in it as in log records, by the rules of redaction
in the configuration; nothing that is sent is written, nor any answer.

A slow disk never holds up the node: up to --buffer events wait for it, then the
oldest are dropped, and the file and the summary say how many, and where.`,
		Example: `  ami record --node pbx1
  ami record --node pbx1 -o monday.amirec --for 10m
  ami record --addr pbx1.example.com --user app --secret-file secret --frames 1000 --json
  ami replay monday.amirec --speed max`,
		Args: cobra.NoArgs,
	}
	a.nodeFlags(cmd)
	a.jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVarP(&r.name, "output", "o", "", "`file` to write (default: node and time, as pbx1-20260701-091403.amirec)")
	f.BoolVar(&r.force, "force", false, "replace the file if it is there")
	f.DurationVar(&r.length, "for", 0, "end after this time")
	f.IntVar(&r.frames, "frames", 0, "end after so many events")
	f.IntVar(&r.buffer, "buffer", 10_000, "how many events may wait for the disk, 2 to 1000000")
	_ = cmd.MarkFlagFilename("output") // the flag exists
	level := logFlag(cmd)
	cmd.RunE = a.run(func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), level) })
	return cmd
}

// run records until ctx ends.
func (r *recorder) run(ctx context.Context, level slog.Leveler) error {
	switch {
	case r.buffer < 2 || r.buffer > 1_000_000:
		return wrong("--buffer must be 2 to 1000000")
	case r.frames < 0:
		return wrong("--frames must not be negative")
	case r.length < 0:
		return wrong("--for must not be negative")
	}
	c, err := r.app.chosen(ctx)
	if err != nil {
		return err
	}
	keys := keysOf(c)
	if len(keys) != 1 {
		return wrong("which node shall be recorded? --node one of %s", strings.Join(keys, ", "))
	}
	if r.node = keys[0]; r.name == "" {
		r.name = safe(r.node) + time.Now().Format("-20060102-150405") + ".amirec"
	}
	file, isNew, err := r.open()
	if err != nil {
		return err
	}
	r.tape.file = file
	log, end, err := r.app.log(level)
	if err == nil {
		defer end()
		err = r.record(ctx, c, log)
	}
	if isNew && r.tape.w == nil {
		_ = os.Remove(r.name) // it is empty: the error that led here says more
	}
	return errors.Join(err, file.Close())
}

// open opens the file, for its owner alone.
func (r *recorder) open() (file *os.File, isNew bool, err error) {
	file, err = os.OpenFile(r.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return file, true, nil
	case !errors.Is(err, os.ErrExist):
		return nil, false, fmt.Errorf("--output: %w", err)
	case !r.force:
		return nil, false, wrong("%s is there already; --force replaces it", r.name)
	}
	if file, err = os.OpenFile(r.name, os.O_WRONLY, 0); err != nil {
		return nil, false, fmt.Errorf("--output: %w", err)
	}
	if err := file.Chmod(0o600); err != nil {
		return nil, false, errors.Join(fmt.Errorf("--output: %w", err), file.Close())
	}
	return file, false, nil
}

// safe makes a file name of a key.
func safe(key string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("-_.", c) || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			return c
		}
		return '_'
	}, strings.TrimLeft(key, ".-"))
}

// record connects, records, and logs off.
func (r *recorder) record(ctx context.Context, c *config.Config, log *slog.Logger) error {
	if r.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.length)
		defer cancel()
	}
	var events *ami.Subscription
	s, err := connect(ctx, c, "", func(cluster *ami.Cluster) { // before it runs: nothing is missed
		events = cluster.Subscribe(ami.Buffer(r.buffer))
	}, ami.WithLogger(log))
	if err != nil {
		return err
	}
	client, err := s.up(ctx, r.node)
	switch {
	case ctx.Err() != nil:
		s.close()
		r.app.say("ami record: it was told to end before the login; nothing was recorded")
		return nil
	case err != nil:
		s.close()
		return fmt.Errorf("%s: %s", r.node, explain(r.node, err))
	}
	if err := r.tape.begin(client); err != nil {
		s.close()
		return err
	}
	written := make(chan error, 1)
	go func() { written <- r.tape.run(events.C(), r.frames) }()
	progress := r.progress()
	defer progress.end()
	for over := false; !over; {
		select {
		case err = <-written: // enough, or the disk is full
			over = true
		case <-progress.tick:
			progress.show()
		case <-ctx.Done():
			s.close() // what was received is written; then the channel ends
			select {
			case err = <-written:
			case <-time.After(outputPatience): // it stays in a write that the end of the process ends
				r.app.out.abandon()
				progress.end()
				r.app.say("ami record: %s: the disk takes nothing; the end of the recording is missing", r.name)
				return nil
			}
			over = true
		}
	}
	progress.end()
	if ctx.Err() != nil {
		r.tape.dropped(events.Dropped())
	}
	events.Close()
	s.close()
	return r.sum(r.tape.end(err, client.Stats().Rejected))
}

// sum prints what was recorded.
func (r *recorder) sum(err error) error {
	t := &r.tape
	done := recorded{
		Node: r.node, File: r.name, Events: t.w.Events(), Bytes: t.w.Kept(), Seconds: t.length.Seconds(),
		Lost: t.lost, Gaps: t.gaps, Discarded: t.discarded,
	}
	if err != nil {
		err = fmt.Errorf("%s: %w; the %s before that are in the file", r.name, err, plural(int(done.Events), "event"))
		done.Error = err.Error()
	}
	if out := r.app.out; out.json {
		out.object(done)
	} else {
		more := ""
		if done.Discarded > 0 {
			more = fmt.Sprintf(", %d malformed and discarded", done.Discarded)
		}
		out.line("%s  %s, %d bytes in %v; %d lost, %s%s; %s", done.Node, plural(int(done.Events), "event"), done.Bytes,
			t.length.Round(time.Millisecond), done.Lost, plural(int(done.Gaps), "gap"), more, done.File)
	}
	return err
}
