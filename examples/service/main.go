// Command service shows how a long-running program carries a Cluster: in an
// errgroup, beside an HTTP server that tells how the nodes are.
//
//	/livez    200 as long as the process works. Dead nodes are no reason to
//	          restart it: the cluster reconnects by itself.
//	/readyz   200 when enough nodes take actions, else 503, with the state of
//	          every node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/event"
	"github.com/apn/ami/examples/internal/nodes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run reads the flags and serves until ctx ends or the time is up.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := nodes.New("service")
	addr := flags.String("listen", "127.0.0.1:0", "address of the HTTP server; port 0 is any that is free")
	need := flags.Int("need", 1, "how many nodes must take actions for /readyz to say yes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	list, stop := flags.Start(amitest.WithCalls(1))
	defer stop()
	log := slog.New(slog.NewTextHandler(out, nil))
	cluster, err := ami.NewCluster(list, ami.WithLogger(log))
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	log.Info("listening", "url", "http://"+listener.Addr().String()+"/readyz")
	ctx, cancel := context.WithTimeout(ctx, flags.Length)
	defer cancel()
	return serve(ctx, cluster, listener, *need, log)
}

// patience is how long a graceful end may take.
const patience = 10 * time.Second

// serve runs all parts until ctx ends or one of them fails, and then ends the
// others gracefully.
func serve(ctx context.Context, cluster *ami.Cluster, listener net.Listener, need int, log *slog.Logger) error {
	h := &health{cluster: cluster, need: need}
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 5 * time.Second}
	hangups := ami.On[event.Hangup](cluster) // before Run: nothing is missed

	g, ctx := errgroup.WithContext(ctx)
	calm := context.WithoutCancel(ctx)
	// Not under ctx: its end would cut off the answers that are pending.
	// Shutdown ends it.
	g.Go(func() error { return cluster.Run(calm) })
	g.Go(func() error { return watch(calm, hangups, log) })
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		h.stopping.Store(true) // no more work for us, says /readyz
		log.Info("stopping")
		patient, cancel := context.WithTimeout(calm, patience)
		defer cancel()
		err := cluster.Shutdown(patient) // what is under way gets its answer
		if e := server.Shutdown(patient); err == nil {
			err = e
		}
		return err
	})
	return g.Wait()
}

// watch is where a real service does its work with events. It ends with the
// subscription.
func watch(ctx context.Context, hangups *ami.TypedSubscription[event.Hangup], log *slog.Logger) error {
	for h, err := range hangups.All(ctx) {
		if err != nil {
			return err
		}
		if h.Lost > 0 {
			log.Warn("events lost: too slow", "lost", h.Lost)
		}
		if gap, ok := h.Gap(); ok {
			log.Warn("node was away: read its channels afresh", "server_key", h.Node, "down", gap.Down)
			continue
		}
		log.Info("hangup", "server_key", h.Node, "channel", h.Channel.Name, "cause", h.Cause.String())
	}
	return nil
}
