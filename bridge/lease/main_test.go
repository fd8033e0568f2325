package lease

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("X"); url != "" {
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
