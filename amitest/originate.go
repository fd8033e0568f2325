package amitest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// A Reason is how an originated channel ended, with Asterisk's numbers
// (pbx_dial_reason).
type Reason int

// The reasons.
const (
	ReasonFailure    Reason = 0
	ReasonHangup     Reason = 1
	ReasonNoAnswer   Reason = 3
	ReasonAnswered   Reason = 4
	ReasonBusy       Reason = 5
	ReasonCongestion Reason = 8
)

// Dial is what becomes of an originated channel.
type Dial struct {
	Reason Reason
	// After is the time to that end; at most the action's Timeout (30 s), at
	// which every channel ends with ReasonNoAnswer.
	After time.Duration
	// Talk is how long an answered channel lives, unless it is hung up. Zero
	// means 10 s, or the seconds of the application Wait.
	Talk time.Duration
}

// DefaultDial goes by what the channel contains: "busy", "noanswer",
// "congestion", "hangup", and "nosuch" for one that cannot be made. Any other
// answers after 20 ms.
func DefaultDial(channel string) Dial {
	const soon = 20 * time.Millisecond
	switch has := func(word string) bool { return strings.Contains(channel, word) }; {
	case has("busy"):
		return Dial{Reason: ReasonBusy, After: soon}
	case has("congestion"):
		return Dial{Reason: ReasonCongestion, After: soon}
	case has("hangup"):
		return Dial{Reason: ReasonHangup, After: soon}
	case has("noanswer"):
		return Dial{Reason: ReasonNoAnswer}
	case has("nosuch"):
		return Dial{Reason: ReasonFailure}
	}
	return Dial{Reason: ReasonAnswered, After: soon}
}

// technologies that the fake can make a channel of.
const technologies = " local pjsip sip iax2 dahdi audiosocket "

// origination is a checked Originate.
type origination struct {
	channel        channel // as asked for; its name without the number
	app, data      string
	context, exten string
	priority       int
	timeout        time.Duration
}

// originate is action_originate. Without Async the session is blocked until
// the channel is answered or not.
func originate(c *Call) {
	o, refusal := newOrigination(c)
	if refusal != "" {
		c.Error(refusal)
		return
	}
	srv := c.session.srv
	if isTrue(c.Get("Async")) {
		c.Success("Originate successfully queued")
		srv.wg.Go(func() {
			ch, d := srv.pbx.dial(srv, o)
			if srv.ctx.Err() == nil {
				srv.originateResponse(c.id, o, ch, d.Reason)
				srv.pbx.talk(srv, o, ch, d)
			}
		})
		return
	}
	ended := make(chan bool, 1)
	srv.wg.Go(func() {
		ch, d := srv.pbx.dial(srv, o)
		ended <- d.Reason == ReasonAnswered
		srv.pbx.talk(srv, o, ch, d)
	})
	select {
	case answered := <-ended:
		if !answered {
			c.Error("Originate failed")
			return
		}
		c.Success("Originate successfully queued")
	case <-c.session.ctx.Done():
	}
}

// newOrigination checks the parameters in Asterisk's order and returns why they
// are refused, if they are.
func newOrigination(c *Call) (o origination, refusal string) {
	name := c.Get("Channel")
	o = origination{
		app: c.Get("Application"), data: c.Get("Data"),
		context: c.Get("Context"), exten: c.Get("Exten"), timeout: 30 * time.Second,
	}
	if name == "" {
		return o, "Channel not specified"
	}
	var err error
	if p := c.Get("Priority"); p != "" {
		if o.priority, err = strconv.Atoi(p); err != nil {
			return o, "Invalid priority"
		}
	}
	if t := c.Get("Timeout"); t != "" {
		ms, err := strconv.Atoi(t)
		if err != nil {
			return o, "Invalid timeout"
		}
		o.timeout = time.Duration(ms) * time.Millisecond
	}
	if !strings.Contains(name, "/") {
		return o, "Invalid channel"
	}
	if o.priority != 0 && (noSuch(o.exten) || noSuch(o.context)) {
		return o, "Extension does not exist."
	}
	if o.app == "" && !isTrue(c.Get("Async")) && (o.exten == "" || o.context == "" || o.priority == 0) {
		return o, "Originate with 'Exten' requires 'Context' and 'Priority'"
	}
	caller, num := parseCallerID(c.Get("CallerID"))
	o.channel = channel{
		name: name, uniqueid: c.Get("ChannelId"), caller: caller, number: num,
		connName: caller, connNumber: num, account: c.Get("Account"),
		context: "default", priority: 1, vars: make(map[string]string),
	}
	_, o.channel.exten, _ = strings.Cut(name, "/")
	o.channel.exten, _, _ = strings.Cut(o.channel.exten, "@")
	for _, v := range c.Values("Variable") {
		for pair := range strings.SplitSeq(v, ",") {
			key, val, _ := strings.Cut(pair, "=")
			o.channel.vars[key] = val
		}
	}
	return o, ""
}

// dial makes the channel and waits for its end, or its answer.
func (p *pbx) dial(srv *Server, o origination) (channel, Dial) {
	tech, _, _ := strings.Cut(o.channel.name, "/")
	d := srv.cfg.dial(o.channel.name)
	if !strings.Contains(technologies, " "+strings.ToLower(tech)+" ") {
		d = Dial{Reason: ReasonFailure}
	}
	if d.Reason == ReasonFailure {
		sleep(srv.ctx, d.After)
		return o.channel, d
	}
	if d.After > o.timeout || d.Reason == ReasonNoAnswer {
		d.Reason, d.After = ReasonNoAnswer, o.timeout
	}
	ch := p.add(o.channel)
	if !ch.lives(srv.ctx, d.After) {
		d.Reason = ReasonHangup
		return ch, d
	}
	switch d.Reason {
	case ReasonAnswered:
		if up, ok := p.newState(ch.name, stateUp); ok {
			return up, d
		}
		d.Reason = ReasonHangup
	case ReasonBusy:
		p.hangup(ch.name, 17)
	case ReasonCongestion:
		p.hangup(ch.name, 34)
	case ReasonNoAnswer:
		p.hangup(ch.name, 19)
	default:
		p.hangup(ch.name, 16)
	}
	return ch, d
}

// talk lets an answered channel live its time.
func (p *pbx) talk(srv *Server, o origination, ch channel, d Dial) {
	if d.Reason != ReasonAnswered {
		return
	}
	if d.Talk == 0 {
		d.Talk = 10 * time.Second
		if seconds, err := strconv.Atoi(o.data); err == nil && strings.EqualFold(o.app, "Wait") {
			d.Talk = time.Duration(seconds) * time.Second
		}
	}
	app, data := o.app, o.data
	if app == "" {
		app, data = "Wait", "10"
		p.change(ch.name, func(c *channel) { c.context, c.exten, c.priority = o.context, o.exten, o.priority })
	}
	p.newExten(ch.name, app, data)
	if ch.lives(srv.ctx, d.Talk) {
		p.hangup(ch.name, 16)
	}
}

// lives waits and tells whether the channel was not hung up meanwhile.
func (c channel) lives(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.gone:
	case <-ctx.Done():
	}
	return false
}

// originateResponse goes to every session that reads calls (fast_originate).
func (srv *Server) originateResponse(id string, o origination, ch channel, reason Reason) {
	var fields []frame.Field
	if id != "" {
		fields = append(fields, F("ActionID", id))
	}
	response, name, uniqueid := "Failure", o.channel.name, o.channel.uniqueid
	if reason == ReasonAnswered {
		response, name, uniqueid = "Success", ch.name, ch.uniqueid
	}
	fields = append(fields, F("Response", response), F("Channel", name))
	if o.app != "" {
		fields = append(fields, F("Application", o.app), F("Data", o.data))
	} else {
		fields = append(fields, F("Context", o.context), F("Exten", o.exten))
	}
	srv.Broadcast("OriginateResponse", ClassCall, append(fields,
		number("Reason", int(reason)), F("Uniqueid", orUnknown(uniqueid)),
		F("CallerIDNum", orUnknown(o.channel.number)), F("CallerIDName", orUnknown(o.channel.caller)))...)
}
