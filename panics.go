package ami

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/apn/ami/internal/redact"
)

// panics counts those in code of the user, which stay where they happen. The
// first is news and is logged with its stack, the rest are a number.
type panics struct{ count atomic.Uint64 }

// first counts a panic and reports whether it is to be logged.
func (p *panics) first() bool { return p.count.Add(1) == 1 }

// report logs a panic. The log handler is code of the user as well: if it panics
// in turn, that is counted and goes no further.
func (p *panics) report(log *slog.Logger, hide *redact.Policy, message string, v any, stack []byte, args ...any) {
	defer func() {
		if recover() != nil {
			p.count.Add(1)
		}
	}()
	log.Error(message, append(args, "panic", hide.Text(fmt.Sprint(v)), "stack", string(stack))...)
}
