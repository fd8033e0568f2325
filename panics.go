package ami

import (
	"fmt"
	"sync/atomic"

	"github.com/apn/ami/internal/redact"
)

// panics counts those in code of the user, which stay where they happen. The
// first is news and is logged with its stack, the rest are a number.
type panics struct{ count atomic.Uint64 }

// first counts a panic and reports whether it is to be logged.
func (p *panics) first() bool { return p.count.Add(1) == 1 }

// report has a panic logged by tell, which is code of the user as well: if it
// panics in turn, that is counted and goes no further.
func (p *panics) report(hide *redact.Policy, v any, stack []byte, tell func(what, stack string)) {
	defer func() {
		if recover() != nil {
			p.count.Add(1)
		}
	}()
	tell(hide.Text(fmt.Sprint(v)), string(stack))
}
