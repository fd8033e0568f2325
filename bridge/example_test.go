package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/bridge"
	"github.com/apn/ami/bridge/embedded"
	amijs "github.com/apn/ami/bridge/jetstream"
)

// One process owns the sessions and publishes what comes. A service, here in the same program,
// reads it with a durable consumer that all of its workers share, and asks for actions.
func ExampleNew() {
	if err := own(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// pbx1 PJSIP/2001-00000001 hung up: 16
	// {"Response":"Success","Ping":"Pong"} of pbx1
}

// own is the process that owns the sessions.
func own() error {
	pbx := amitest.NewServer(amitest.WithTCP(), amitest.WithWriteTimeout(time.Minute)) // in place of an Asterisk
	defer pbx.Close()
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir + "/nats", Port: embedded.AnyPort}) // or a NATS of yours
	if err != nil {
		return err
	}
	broker, err := amijs.Open(ctx, amijs.Options{URL: server.URL()})
	if err != nil {
		return err
	}
	cluster, err := ami.NewCluster([]ami.Node{{Key: "pbx1", Addr: pbx.Addr(), Username: "admin", Secret: ami.NewSecret("secret")}})
	if err != nil {
		return err
	}
	b, err := bridge.New(cluster, broker, bridge.Options{Dir: dir + "/bridge"})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return b.Run(ctx) })
	if err := cluster.Ready(ctx, 0); err != nil {
		return err
	}
	if err := bill(ctx, server.URL(), pbx); err != nil {
		return err
	}

	stop() // publishes what was received, and logs off
	if err := g.Wait(); err != nil {
		return err
	}
	return server.Close()
}

// bill is the service. It knows the broker alone.
func bill(ctx context.Context, url string, pbx *amitest.Server) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "AMI", jetstream.ConsumerConfig{
		Durable:        "billing", // one for the service, shared by its workers
		FilterSubjects: []string{"ami.events.*.Hangup", "ami.events.*.Gap", "ami.events.*.Takeover"},
	})
	if err != nil {
		return err
	}
	pbx.Broadcast("Hangup", amitest.ClassCall, amitest.F("Channel", "PJSIP/2001-00000001"), amitest.F("Cause", "16"))
	m, err := consumer.Next()
	if err != nil {
		return err
	}
	var r struct {
		Kind, ID, Node string
		Headers        map[string]any // a text, or a list if the header occurs more than once
	}
	if err := json.Unmarshal(m.Data(), &r); err != nil {
		return err
	}
	if r.Kind == "event" { // any other: events may be missing before this; read afresh what you keep
		fmt.Println(r.Node, r.Headers["Channel"], "hung up:", r.Headers["Cause"])
	}
	if err := m.Ack(); err != nil {
		return err
	}

	answer, err := nc.RequestWithContext(ctx, "ami.actions.pbx1", []byte(`{"action":"Ping"}`))
	for errors.Is(err, nats.ErrNoResponders) { // the bridge has only begun
		answer, err = nc.RequestWithContext(ctx, "ami.actions.pbx1", []byte(`{"action":"Ping"}`))
	}
	if err != nil {
		return err
	}
	var a struct {
		OK       bool
		Node     string
		Response struct{ Response, Ping string }
	}
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return err
	}
	text, err := json.Marshal(a.Response)
	if err != nil {
		return err
	}
	fmt.Println(string(text), "of", a.Node)
	return nil
}
