package amitest

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/apn/ami/frame"
)

func coreShowChannels(c *Call) {
	c.ListStart("Channels will follow")
	channels := c.session.srv.pbx.all()
	for _, ch := range channels {
		_, clock := ch.duration()
		c.Event("CoreShowChannel", append(ch.snapshot(""),
			F("Application", ch.app), F("ApplicationData", ch.data),
			F("Duration", clock), F("BridgeId", ch.bridge))...)
	}
	c.ListComplete("CoreShowChannelsComplete", len(channels))
}

func status(c *Call) {
	p := c.session.srv.pbx
	channels := p.all()
	if name := c.Get("Channel"); name != "" {
		ch, ok := p.find(name)
		if !ok {
			c.Error("No such channel")
			return
		}
		channels = []channel{ch}
	}
	c.ListStart("Channel status will follow")
	for _, ch := range channels {
		c.EventIDLast("Status", ch.status()...)
	}
	n := len(channels)
	c.ListComplete("StatusComplete", n, number("Items", n))
}

// status has the order of generate_status.
func (c channel) status() []frame.Field {
	seconds, _ := c.duration()
	kind, _, _ := strings.Cut(c.name, "/")
	fields := append([]frame.Field{F("Privilege", "Call")}, c.snapshot("")...)
	return append(fields,
		F("Type", kind), F("DNID", ""),
		F("EffectiveConnectedLineNum", orUnknown(c.connNumber)),
		F("EffectiveConnectedLineName", orUnknown(c.connName)),
		F("TimeToHangup", "0"), F("BridgeID", c.bridge),
		F("Application", c.app), F("Data", c.data),
		F("Nativeformats", "(slin)"), F("Readformat", "slin"), F("Readtrans", ""),
		F("Writeformat", "slin"), F("Writetrans", ""),
		F("Callgroup", "0"), F("Pickupgroup", "0"), number("Seconds", seconds))
}

// hangup is action_hangup; /regex/ means all channels that match.
func hangup(c *Call) {
	p := c.session.srv.pbx
	name := c.Get("Channel")
	cause, err := strconv.Atoi(c.Get("Cause"))
	if err != nil || cause < 0 || cause > 127 {
		cause = 0
	}
	cause = cmp.Or(cause, 16)
	if name == "" {
		c.Error("No channel specified")
		return
	}
	if pattern, ok := regexName(name); ok {
		c.hangupAll(pattern, cause)
		return
	}
	ch, ok := p.find(name)
	if !ok {
		c.Error("No such channel")
		return
	}
	c.Success("Channel Hungup")
	p.hangup(ch.name, cause)
}

// regexName takes the pattern out of /pattern/.
func regexName(name string) (pattern string, ok bool) {
	rest, ok := strings.CutPrefix(name, "/")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "/")
}

func (c *Call) hangupAll(pattern string, cause int) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.Error("Regex compile failed")
		return
	}
	p := c.session.srv.pbx
	c.ListStart("Channels hung up will follow")
	n := 0
	for _, ch := range p.all() {
		if re.MatchString(ch.name) && p.hangup(ch.name, cause) {
			n++
			c.EventIDLast("ChannelHungup", F("Channel", ch.name))
		}
	}
	c.ListComplete("ChannelsHungupListComplete", n)
}

// redirect is action_redirect. An extension or context whose name contains
// "nosuch" does not exist: the answer is Success all the same, and the channel
// hangs up.
func redirect(c *Call) {
	p := c.session.srv.pbx
	name, context, exten := c.Get("Channel"), c.Get("Context"), c.Get("Exten")
	if name == "" {
		c.Error("Channel not specified")
		return
	}
	priority, err := strconv.Atoi(c.Get("Priority"))
	if err != nil {
		if c.Get("Priority") != "" {
			c.Error("Invalid priority")
			return
		}
		priority = 1
	}
	ch, ok := p.change(name, func(ch *channel) {
		if !noSuch(context) && !noSuch(exten) {
			ch.context, ch.exten, ch.priority = context, exten, priority
		}
	})
	if !ok {
		c.Error("Channel does not exist: " + name)
		return
	}
	c.Success("Redirect successful")
	if noSuch(context) || noSuch(exten) {
		p.hangup(ch.name, 16)
		return
	}
	p.newExten(ch.name, "Answer", "")
}

// noSuch tells whether the fake dial plan lacks what is named so.
func noSuch(name string) bool { return strings.Contains(name, "nosuch") }

// getvar is action_getvar.
func getvar(c *Call) {
	p := c.session.srv.pbx
	name, chanName := c.Get("Variable"), c.Get("Channel")
	if name == "" {
		c.Error("No variable specified")
		return
	}
	var val string
	if chanName == "" {
		p.mu.Lock()
		val = p.globals[name]
		p.mu.Unlock()
	} else if _, ok := p.change(chanName, func(ch *channel) { val = ch.variable(name) }); !ok {
		c.Error("No such channel")
		return
	}
	c.Respond(F("Variable", name), F("Value", val))
}

// variable reads a channel variable or one of the few functions known.
func (c *channel) variable(name string) string {
	switch name {
	case "CALLERID(num)":
		return c.number
	case "CALLERID(name)":
		return c.caller
	case "UNIQUEID":
		return c.uniqueid
	case "CHANNEL":
		return c.name
	}
	return c.vars[name]
}

// setvar is action_setvar; VarSet or NewCallerid follows.
func setvar(c *Call) {
	p := c.session.srv.pbx
	name, chanName, val := c.Get("Variable"), c.Get("Channel"), c.Get("Value")
	if name == "" {
		c.Error("No variable specified")
		return
	}
	if chanName == "" {
		p.mu.Lock()
		p.globals[name] = val
		p.mu.Unlock()
		c.Success("Variable Set")
		c.Broadcast("VarSet", ClassDialplan,
			F("Channel", "none"), F("Uniqueid", "none"), F("Variable", name), F("Value", val))
		return
	}
	ch, ok := p.change(chanName, func(ch *channel) {
		switch name {
		case "CALLERID(num)":
			ch.number = val
		case "CALLERID(name)":
			ch.caller = val
		default:
			ch.vars[name] = val
		}
	})
	if !ok {
		c.Error("No such channel")
		return
	}
	c.Success("Variable Set")
	if strings.HasPrefix(name, "CALLERID(") {
		p.event("NewCallerid", ch, F("CID-CallingPres", "0 (Presentation Allowed, Not Screened)"))
		return
	}
	c.Broadcast("VarSet", ClassDialplan, append(ch.snapshot(""), F("Variable", name), F("Value", val))...)
}
