package amiprom_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
	amiprom "github.com/apn/ami/telemetry/prometheus"
)

// A server that is ready, as Prometheus sees it.
func ExampleCollector() {
	srv := amitest.NewServer()
	defer srv.Close()

	metrics := amiprom.NewCollector()
	client, err := ami.Dial(context.Background(),
		ami.Node{Key: "pbx1", Addr: srv.Addr(), Username: "admin", Secret: ami.NewSecret("secret")},
		ami.WithDialer(srv.DialContext), ami.WithObserver(metrics))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	metrics.WatchClient(client)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)

	fmt.Println(testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP ami_session_connects_total Logins that succeeded.
# TYPE ami_session_connects_total counter
ami_session_connects_total{lane="0",node="pbx1"} 1
`), "ami_session_connects_total"))
	// Output: <nil>
}
