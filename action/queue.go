package action

import (
	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// QueueStatus lists the call queues with their members and waiting callers, one
// QueueParams, QueueMember or QueueEntry each
// (apps/app_queue.c:manager_queues_status). No privilege is needed.
type QueueStatus struct {
	Queue  string // empty: all
	Member string // empty: all
}

// Name implements Action.
func (QueueStatus) Name() string { return "QueueStatus" }

// AppendFields implements Action.
func (a QueueStatus) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "QueueStatus", dst: dst}
	f.optional("Queue", a.Queue)
	f.optional("Member", a.Member)
	return f.done()
}

// Strategy implements Action.
func (QueueStatus) Strategy() strategy.Strategy { return strategy.ListOf("QueueStatusComplete") }
