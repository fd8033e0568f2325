package amitest

import (
	"slices"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// queue is guarded by pbx.mu.
type queue struct {
	name, strategy string
	members        []*member
}

type member struct {
	name, iface, state string
	dynamic            bool
	penalty            string
	paused             bool
	reason             string
	login              time.Time
}

// newQueues returns what queues.conf of the fake holds.
func newQueues() []*queue {
	agent := func(name, number string) *member {
		return &member{
			name: name, iface: "Local/" + number + "@agents/n",
			state: "Custom:agent" + number, penalty: "0", login: time.Now(),
		}
	}
	return []*queue{
		{name: "support", strategy: "rrmemory", members: []*member{agent("Agent One", "1001"), agent("Agent Two", "1002")}},
		{name: "sales", strategy: "ringall", members: []*member{agent("Agent One", "1001")}},
		{name: "empty", strategy: "ringall"},
	}
}

func boolNumber(key string, b bool) frame.Field {
	if b {
		return F(key, "1")
	}
	return F(key, "0")
}

func (m *member) membership() string {
	if m.dynamic {
		return "dynamic"
	}
	return "static"
}

// snapshotQueues copies what the filter lets through.
func (p *pbx) snapshotQueues(want string) (copies []queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.queues {
		if want != "" && !strings.EqualFold(want, q.name) {
			continue
		}
		c := queue{name: q.name, strategy: q.strategy}
		for _, m := range q.members {
			copied := *m
			c.members = append(c.members, &copied)
		}
		copies = append(copies, c)
	}
	return copies
}

// queueStatus is manager_queues_status.
func queueStatus(c *Call) {
	c.ListStart("Queue status will follow")
	n := 0
	for _, q := range c.session.srv.pbx.snapshotQueues(c.Get("Queue")) {
		c.EventIDLast("QueueParams",
			F("Queue", q.name), F("Max", "0"), F("Strategy", q.strategy), F("Calls", "0"),
			F("Holdtime", "0"), F("TalkTime", "0"), F("Completed", "0"), F("Abandoned", "0"),
			F("ServiceLevel", "0"), F("ServicelevelPerf", "0.0"), F("ServicelevelPerf2", "0.0"),
			F("Weight", "0"))
		n++
		for _, m := range q.members {
			c.EventIDLast("QueueMember",
				F("Queue", q.name), F("Name", m.name), F("Location", m.iface),
				F("StateInterface", m.state), F("Membership", m.membership()), F("Penalty", m.penalty),
				F("CallsTaken", "0"), F("LastCall", "0"), F("LastPause", "0"),
				number("LoginTime", int(m.login.Unix())), F("InCall", "0"), F("Status", "0"),
				boolNumber("Paused", m.paused), F("PausedReason", m.reason), F("Wrapuptime", "0"))
			n++
		}
	}
	c.ListComplete("QueueStatusComplete", n)
}

func queueSummary(c *Call) {
	c.ListStart("Queue summary will follow")
	queues := c.session.srv.pbx.snapshotQueues(c.Get("Queue"))
	for _, q := range queues {
		available := 0
		for _, m := range q.members {
			if !m.paused {
				available++
			}
		}
		c.EventIDLast("QueueSummary",
			F("Queue", q.name), number("LoggedIn", len(q.members)), number("Available", available),
			F("Callers", "0"), F("HoldTime", "0"), F("TalkTime", "0"), F("LongestHoldTime", "0"))
	}
	c.ListComplete("QueueSummaryComplete", len(queues))
}

// event announces a change of the member.
func (m member) event(c *Call, name, queue string) {
	c.Broadcast(name, ClassAgent,
		F("Queue", queue), F("MemberName", m.name), F("Interface", m.iface),
		F("StateInterface", m.state), F("Membership", m.membership()), F("Penalty", m.penalty),
		F("CallsTaken", "0"), F("LastCall", "0"), F("LastPause", "0"),
		number("LoginTime", int(m.login.Unix())), F("InCall", "0"), F("Status", "1"),
		boolNumber("Paused", m.paused), F("PausedReason", m.reason),
		F("Ringinuse", "0"), F("Wrapuptime", "0"))
}

// queueMember finds queue and member; both may be nil. The lock is held.
func (p *pbx) queueMember(name, iface string) (*queue, *member) {
	i := slices.IndexFunc(p.queues, func(q *queue) bool { return strings.EqualFold(q.name, name) })
	if i < 0 {
		return nil, nil
	}
	q := p.queues[i]
	for _, m := range q.members {
		if m.iface == iface {
			return q, m
		}
	}
	return q, nil
}

// queueParams returns Queue and Interface, or answers that one is missing.
func (c *Call) queueParams() (name, iface string, ok bool) {
	name, iface = c.Get("Queue"), c.Get("Interface")
	switch {
	case name == "":
		c.Error("'Queue' not specified.")
	case iface == "":
		c.Error("'Interface' not specified.")
	default:
		return name, iface, true
	}
	return "", "", false
}

func queueAdd(c *Call) {
	name, iface, ok := c.queueParams()
	if !ok {
		return
	}
	m := &member{
		name: c.Get("MemberName"), iface: iface, state: c.Get("StateInterface"), dynamic: true,
		penalty: c.Get("Penalty"), paused: isTrue(c.Get("Paused")), login: time.Now(),
	}
	for _, f := range []struct {
		at        *string
		otherwise string
	}{{&m.name, iface}, {&m.state, iface}, {&m.penalty, "0"}} {
		if *f.at == "" {
			*f.at = f.otherwise
		}
	}
	p := c.session.srv.pbx
	p.mu.Lock()
	q, old := p.queueMember(name, iface)
	if q != nil && old == nil {
		q.members = append(q.members, m)
	}
	copied := *m
	p.mu.Unlock()
	switch {
	case q == nil:
		c.Error("Unable to add interface to queue: No such queue")
	case old != nil:
		c.Error("Unable to add interface: Already there")
	default:
		c.Success("Added interface to queue")
		copied.event(c, "QueueMemberAdded", q.name)
	}
}

func queueRemove(c *Call) {
	name, iface, ok := c.queueParams()
	if !ok {
		return
	}
	p := c.session.srv.pbx
	p.mu.Lock()
	q, m := p.queueMember(name, iface)
	var copied member
	if m != nil {
		copied = *m
		q.members = slices.DeleteFunc(q.members, func(other *member) bool { return other == m })
	}
	p.mu.Unlock()
	switch {
	case q == nil:
		c.Error("Unable to remove interface from queue: No such queue")
	case m == nil:
		c.Error("Unable to remove interface: Not there")
	default:
		c.Success("Removed interface from queue")
		copied.event(c, "QueueMemberRemoved", q.name)
	}
}

func queuePause(c *Call) {
	iface, paused := c.Get("Interface"), c.Get("Paused")
	if iface == "" || paused == "" {
		c.Error("Need 'Interface' and 'Paused' parameters.")
		return
	}
	type change struct {
		queue string
		m     member
	}
	var changes []change
	p := c.session.srv.pbx
	p.mu.Lock()
	for _, q := range p.queues {
		if _, m := p.queueMember(q.name, iface); m != nil && (c.Get("Queue") == "" || c.is("Queue", q.name)) {
			m.paused, m.reason = isTrue(paused), c.Get("Reason")
			changes = append(changes, change{q.name, *m})
		}
	}
	p.mu.Unlock()
	switch {
	case len(changes) == 0:
		c.Error("Interface not found")
		return
	case isTrue(paused):
		c.Success("Interface paused successfully")
	default:
		c.Success("Interface unpaused successfully")
	}
	for _, ch := range changes {
		ch.m.event(c, "QueueMemberPause", ch.queue)
	}
}
