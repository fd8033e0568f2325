package asynclog_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/apn/ami/asynclog"
)

func Example() {
	sink := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // for the sake of the output below
		}
		return a
	}})
	h, err := asynclog.New(sink, asynclog.WithCapacity(1000))
	if err != nil {
		fmt.Println(err)
		return
	}
	log := slog.New(h).With("server_key", "pbx1")
	log.Info("connected", "attempt", 1) // returns at once, whatever stdout does

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil { // before the program ends
		fmt.Println(err)
	}
	s := h.Stats()
	fmt.Println(s.Handled, s.Delivered, s.Dropped[asynclog.CapacityExceeded])
	// Output:
	// level=INFO msg=connected server_key=pbx1 attempt=1
	// 1 1 0
}
