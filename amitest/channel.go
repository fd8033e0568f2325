package amitest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apn/ami/frame"
)

// pbx is what the actions read and change: channels, variables, the database
// and queues.
type pbx struct {
	srv *Server

	mu        sync.Mutex
	channels  []*channel // in order of creation
	globals   map[string]string
	db        map[string]string // by /family/key
	queues    []*queue
	sequence  int // of channels, for Uniqueid
	processed int // calls that have ended
}

func newPBX(srv *Server) *pbx {
	return &pbx{srv: srv, globals: make(map[string]string), db: make(map[string]string), queues: newQueues()}
}

// clear is a restart: only the database is on disk.
func (p *pbx) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.channels {
		close(c.gone)
	}
	p.channels, p.globals, p.queues, p.processed = nil, make(map[string]string), newQueues(), 0
}

// channel is guarded by pbx.mu; what goes out is a copy.
type channel struct {
	name, uniqueid, linkedid string
	state                    int
	number, caller           string // caller ID
	connNumber, connName     string // connected line
	account                  string
	context, exten           string
	priority                 int
	app, data                string
	bridge                   string
	created                  time.Time
	vars                     map[string]string
	gone                     chan struct{} // closed when it hangs up
}

// The channel states of ast_channel_state.
const (
	stateDown    = 0
	stateRing    = 4
	stateRinging = 5
	stateUp      = 6
)

var stateText = map[int]string{stateDown: "Down", stateRing: "Ring", stateRinging: "Ringing", stateUp: "Up"}

func orUnknown(s string) string {
	if s == "" {
		return "<unknown>"
	}
	return s
}

// snapshot has the order of ast_manager_build_channel_state_string_prefix.
func (c channel) snapshot(prefix string) []frame.Field {
	return []frame.Field{
		F(prefix+"Channel", c.name),
		number(prefix+"ChannelState", c.state),
		F(prefix+"ChannelStateDesc", stateText[c.state]),
		F(prefix+"CallerIDNum", orUnknown(c.number)),
		F(prefix+"CallerIDName", orUnknown(c.caller)),
		F(prefix+"ConnectedLineNum", orUnknown(c.connNumber)),
		F(prefix+"ConnectedLineName", orUnknown(c.connName)),
		F(prefix+"Language", "en"),
		F(prefix+"AccountCode", c.account),
		F(prefix+"Context", c.context),
		F(prefix+"Exten", c.exten),
		number(prefix+"Priority", c.priority),
		F(prefix+"Uniqueid", c.uniqueid),
		F(prefix+"Linkedid", c.linkedid),
	}
}

// event broadcasts an event of class call about the channel.
func (p *pbx) event(name string, c channel, more ...frame.Field) {
	p.srv.Broadcast(name, ClassCall, append(c.snapshot(""), more...)...)
}

// add makes a channel and announces it. Its name gets the number that
// Asterisk appends; the uniqueid is made unless the caller chose one.
func (p *pbx) add(c channel) channel {
	p.mu.Lock()
	p.sequence++
	seq := p.sequence
	base := strings.TrimSuffix(c.name, "/n")
	c.name = fmt.Sprintf("%s-%08x", base, seq)
	if strings.HasPrefix(base, "Local/") {
		c.name += ";1"
	}
	if c.uniqueid == "" {
		c.uniqueid = fmt.Sprintf("%d.%d", time.Now().Unix(), seq)
		if name := p.srv.cfg.systemName; name != "" {
			c.uniqueid = name + "-" + c.uniqueid
		}
	}
	if c.linkedid == "" {
		c.linkedid = c.uniqueid
	}
	c.created, c.gone = time.Now(), make(chan struct{})
	if c.vars == nil {
		c.vars = make(map[string]string)
	}
	p.channels = append(p.channels, &c)
	copied := c
	p.mu.Unlock()
	p.event("Newchannel", copied)
	return copied
}

// change changes the channel, if it still exists, and returns a copy.
func (p *pbx) change(name string, f func(c *channel)) (channel, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.channels {
		if strings.EqualFold(c.name, name) || c.uniqueid == name {
			f(c)
			return *c, true
		}
	}
	return channel{}, false
}

func (p *pbx) find(name string) (channel, bool) { return p.change(name, func(*channel) {}) }

// all returns copies of all channels.
func (p *pbx) all() []channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]channel, len(p.channels))
	for i, c := range p.channels {
		list[i] = *c
	}
	return list
}

// newState changes the state and announces it.
func (p *pbx) newState(name string, state int) (channel, bool) {
	c, ok := p.change(name, func(c *channel) { c.state = state })
	if ok {
		p.event("Newstate", c)
	}
	return c, ok
}

// newExten moves the channel to an application and announces it.
func (p *pbx) newExten(name, app, data string) {
	c, ok := p.change(name, func(c *channel) { c.app, c.data = app, data })
	if ok {
		p.srv.Broadcast("Newexten", ClassDialplan, append(c.snapshot(""),
			F("Extension", c.exten), F("Application", app), F("AppData", data))...)
	}
}

var causeText = map[int]string{
	1: "Unallocated (unassigned) number", 16: "Normal Clearing", 17: "User busy",
	18: "No user responding", 19: "User alerting, no answer", 34: "Circuit/channel congestion",
}

// hangup removes the channel and announces it.
func (p *pbx) hangup(name string, cause int) bool {
	var c channel
	p.mu.Lock()
	i := slices.IndexFunc(p.channels, func(c *channel) bool { return c.name == name })
	if i < 0 {
		p.mu.Unlock()
		return false
	}
	c = *p.channels[i]
	p.channels = slices.Delete(p.channels, i, i+1)
	p.processed++
	close(c.gone)
	p.mu.Unlock()
	text := causeText[cause]
	if text == "" {
		text = "Unknown"
	}
	p.event("Hangup", c, number("Cause", cause), F("Cause-txt", text))
	return true
}

// duration of the channel, in seconds and as hh:mm:ss.
func (c channel) duration() (seconds int, clock string) {
	seconds = int(time.Since(c.created).Seconds())
	return seconds, fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// parseCallerID splits "name" <number>.
func parseCallerID(s string) (name, num string) {
	if before, after, ok := strings.Cut(s, "<"); ok {
		num = strings.TrimSuffix(strings.TrimSpace(after), ">")
		return strings.Trim(strings.TrimSpace(before), `"`), num
	}
	if _, err := strconv.Atoi(s); err == nil {
		return "", s
	}
	return strings.Trim(s, `"`), ""
}
