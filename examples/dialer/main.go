// Command dialer places calls on many Asterisk servers, one node after the
// other, and follows each by its events until it is hung up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/examples/internal/nodes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dialer:", err)
		os.Exit(1)
	}
}

// run reads the flags and dials until ctx ends or the time is up.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := nodes.New("dialer")
	channel := flags.String("channel", "PJSIP/2001", "whom to call, as for Dial")
	app := flags.String("application", "Wait", "what runs when the call is answered")
	data := flags.String("data", "1", "its arguments")
	most := flags.Int("calls", 10, "how many calls there may be at a time")
	longest := flags.Duration("longest", time.Minute, "how long a call may take before it is hung up")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *most < 1 || *longest <= 0 {
		return errors.New("-calls and -longest must be positive")
	}
	list, stop := flags.Start(amitest.WithCalls(1), amitest.WithDial(fakeDial))
	defer stop()
	cluster, err := ami.NewCluster(list) // its default router takes the nodes in turn
	if err != nil {
		return err
	}
	d := newDialer(cluster, action.Originate{Channel: *channel, Application: *app, Data: *data, Async: true}, *longest, out)
	ctx, cancel := context.WithTimeout(ctx, flags.Length)
	defer cancel()
	return d.run(ctx, *most)
}

// fakeDial is what becomes of calls on the fake servers.
func fakeDial(string) amitest.Dial {
	d := amitest.Dial{Reason: amitest.ReasonAnswered, After: 50 * time.Millisecond, Talk: 300 * time.Millisecond}
	if rand.IntN(5) == 0 {
		d.Reason = amitest.ReasonBusy
	}
	return d
}

// patience bounds the graceful end.
const patience = 5 * time.Second

// run places calls until ctx ends, hangs up those that are left, and ends the
// cluster.
func (d *dialer) run(ctx context.Context, most int) error {
	calm := context.WithoutCancel(ctx) // the end of ctx must not cut off the hanging up
	var parts errgroup.Group
	parts.Go(func() error { return d.cluster.Run(calm) })
	parts.Go(func() error { return d.follow(calm) })

	var calls errgroup.Group
	calls.SetLimit(most)
	for n := 1; ctx.Err() == nil; n++ {
		calls.Go(func() error { // Go waits while there are too many
			if ctx.Err() == nil { // it may have ended in that wait
				d.one(ctx, n)
			}
			return nil
		})
	}
	_ = calls.Wait() // none returns an error

	patient, cancel := context.WithTimeout(calm, patience)
	defer cancel()
	err := d.cluster.Shutdown(patient)
	if e := parts.Wait(); err == nil {
		err = e
	}
	d.report()
	return err
}
