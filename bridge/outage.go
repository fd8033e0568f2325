package bridge

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// retold is the least time between two records about a broker that stays away.
const retold = 10 * time.Second

// An outage knows whether the broker takes records, and tells the log when that
// changes. The publisher moves it; anybody may ask whether it is over.
type outage struct {
	log  *slog.Logger
	away atomic.Bool

	// The publisher's.
	reason string // that was told
	told   time.Time
}

// begin notes a failed attempt. It is told at once, and later on if the reason
// is another one than before: a server that is back, but full, say.
func (o *outage) begin(err error, waiting uint64) {
	now, reason := time.Now(), err.Error()
	if o.away.Swap(true) && (reason == o.reason || now.Sub(o.told) < retold) {
		return
	}
	o.reason, o.told = reason, now
	o.log.Warn("the broker is away", "error", err, "waiting", waiting)
}

// end notes one that went well.
func (o *outage) end() {
	if o.away.Swap(false) {
		o.log.Info("the broker is back")
	}
}
