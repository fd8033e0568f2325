package ami

// The messages of log records. What each means is in docs/operations.md, which a
// test compares with this file and with what is logged.
const (
	msgConnected    = "connected"
	msgDisconnected = "disconnected"
	msgClosed       = "closed"
	msgBreaker      = "circuit breaker changed"
	msgDropped      = "events dropped: a subscription does not keep up"
	msgPanicked     = "a subscription's predicate panicked"
	msgObserver     = "an observer panicked"
	msgCallback     = "a callback panicked"
	msgMask         = "event mask widened"
	msgFilter       = "event filter added"
	msgNoFilter     = "events are not filtered by name"
	msgMalformed    = "malformed message discarded"
	msgUnmatched    = "response without an action"
	msgQueued       = "action queued"
)

// The keys of their attributes.
const (
	attrServerKey     = "server_key"
	attrLane          = "lane"
	attrHost          = "host"
	attrPort          = "port"
	attrEpoch         = "epoch"
	attrBanner        = "banner"
	attrAttempt       = "attempt"
	attrBackoff       = "backoff"
	attrNextRetryAt   = "next_retry_at"
	attrBreaker       = "breaker"
	attrReason        = "reason"
	attrState         = "state"
	attrFrom          = "from"
	attrTo            = "to"
	attrActionID      = "action_id"
	attrQueueDepth    = "queue_depth"
	attrHeaders       = "headers"
	attrFrame         = "frame"
	attrRejectedTotal = "rejected_total"
	attrDroppedDelta  = "dropped_delta"
	attrDroppedTotal  = "dropped_total"
	attrEvent         = "event"
	attrPanic         = "panic"
	attrStack         = "stack"
	attrStep          = "step"
	attrEventMask     = "event_mask"
	attrFilter        = "filter"
)
