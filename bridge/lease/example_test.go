package lease_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/apn/ami/bridge/lease"
)

// A process that holds its share of three nodes.
func Example() {
	ctx := context.Background() // ends when the process shall stop
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conn, err := nats.Connect("nats://127.0.0.1:4222", nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		log.Error("no connection", "error", err)
		return
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Error("no JetStream", "error", err)
		return
	}
	keeper, err := lease.New(js, lease.Options{Instance: "host-1", Nodes: []string{"pbx1", "pbx2", "pbx3"}, Logger: log})
	if err != nil {
		log.Error("wrong options", "error", err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- keeper.Run(ctx) }()
	for change := range keeper.Changes() {
		if change.Held {
			log.Info("connecting", "node", change.Node)
			continue
		}
		log.Info("finishing", "node", change.Node, "lost", change.Lost)
		keeper.Release(change.Node)
	}
	if err = <-ended; err != nil { // no node is held any more
		log.Error("leases ended", "error", err)
	}
}
