package bridge_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/apn/ami/bridge/internal/natstest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asBridge) != "" {
		beBridge()
		os.Exit(0)
	}
	if natstest.Serve() {
		return
	}
	goleak.VerifyTestMain(m)
}
