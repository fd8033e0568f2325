package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/amitest/recording"
	"github.com/apn/ami/frame"
)

// A replaying is one call of "ami replay".
type replaying struct {
	fleet

	speed string
	loop  bool
}

// replayCommand is "ami replay".
func (a *app) replayCommand() *cobra.Command {
	r := &replaying{fleet: fleet{app: a}}
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Be a fake Asterisk server that plays a recording",
		Long: `Runs a fake Asterisk server that plays the events of a recording to every client,
to each from the begin on when it logs in, with the recorded pauses divided by
--speed; "max" is as fast as the client takes them. It runs until it is told to end.

Actions are answered as by "ami simulate". What answered the recorder is not played:
responses, lists, and the FullyBooted of its login. Gaps are pauses.

What it prints is a configuration file for the server, with the node that was
recorded. The secret is "secret" unless --secret-file holds another.

FILE is what "ami record" has written, also if that was cut off; or a NAME.timeline
with a NAME.server beside it: lines of seconds, S, C or EOF, and a number of bytes.`,
		Example: `  ami replay monday.amirec > ami.yaml &
  ami replay monday.amirec --speed 10 --loop
  ami replay monday.amirec --speed max --listen 127.0.0.1:15038`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args[0]) }),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault // files
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.listen, "listen", "127.0.0.1:5038", "`host:port` of the server, also --addr; port 0: any that is free")
	f.StringVar(&r.speed, "speed", "1", "what the pauses are divided by: a `factor` above 0, or max")
	f.BoolVar(&r.loop, "loop", false, "begin anew at the end, for ever")
	f.StringVar(&r.listen, "addr", r.listen, "the same as --listen: it is the address for other commands")
	_ = f.MarkHidden("addr")                                                                                                            // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("speed", cobra.FixedCompletions([]string{"1", "10", "max"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

// factor reads --speed: 0 is max.
func (r *replaying) factor() (float64, error) {
	if r.speed == "max" {
		return 0, nil
	}
	x, err := strconv.ParseFloat(r.speed, 64)
	if err != nil || !(x >= 0.001 && x <= 1e6) { // NaN fails every comparison
		return 0, wrong("--speed must be 0.001 to 1000000, or max")
	}
	return x, nil
}

// run serves until ctx ends.
func (r *replaying) run(ctx context.Context, name string) error {
	speed, err := r.factor()
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	file, err := recording.Open(name)
	if err != nil {
		return err
	}
	what, err := r.survey(file)
	if err != nil {
		return err
	}
	opts, err := r.options(ctx)
	if err != nil {
		return err
	}
	opts = append(opts, likeness(file.Header().Banner)...)
	if r.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.length)
		defer cancel()
	}
	key := file.Header().Node
	if ami.Check([]ami.Node{{Key: key, Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")}}) != nil {
		key = "replay"
	}
	defer r.close()
	if err := r.start(ctx, []string{key}, func(int) *amitest.Server { return amitest.NewServer(opts...) }); err != nil {
		return err
	}
	if err := r.print(what + ", until Ctrl-C."); err != nil {
		return err
	}
	return r.serve(ctx, func(ctx context.Context, srv *amitest.Server) error {
		if err := srv.Play(ctx, amitest.Playback{Records: file.Records(), Speed: speed, Loop: r.loop}); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// survey reads the whole recording once, so that what is wrong with it is known before
// a client comes, and says what it is.
func (r *replaying) survey(file *recording.File) (string, error) {
	var events, gaps, lost uint64
	var length time.Duration
	for rec, err := range file.Records() {
		switch {
		case errors.Is(err, recording.ErrCut):
			r.app.say("ami replay: warning: %v; what is before that is played", err)
			continue
		case err != nil:
			return "", err
		case rec.Event != nil && rec.Event.Kind() == frame.Event:
			events++
		case rec.Gap != nil:
			gaps++
		}
		lost += rec.Lost
		length = max(length, rec.At)
	}
	if events == 0 {
		r.app.say("ami replay: warning: the recording holds no event")
	}
	what := fmt.Sprintf("A recording of %s in %v", plural(int(events), "event"), length.Round(time.Millisecond))
	if lost > 0 {
		what += fmt.Sprintf(", %d lost", lost)
	}
	if gaps > 0 {
		what += ", " + plural(int(gaps), "gap")
	}
	return what, nil
}

// likeness makes a server greet as the recorded one did, and be of its version.
func likeness(banner string) []amitest.Option {
	number, ok := strings.CutPrefix(banner, "Asterisk Call Manager/")
	if !ok {
		return nil
	}
	asterisk := versions["22"][1]
	for _, v := range versions {
		if v[0] == number {
			asterisk = v[1]
		}
	}
	return []amitest.Option{amitest.WithBanner(banner), amitest.WithVersion(number, asterisk)}
}
