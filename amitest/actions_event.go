package amitest

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
)

// eventsAction is action_events.
func eventsAction(c *Call) {
	mask, ok := parseMask(c.Get("EventMask"))
	broken := c.session.srv.cfg.brokenEvents
	if !ok {
		if broken {
			return
		}
		c.Error("Invalid event mask")
		return
	}
	c.session.events.mask.Store(uint32(mask))
	switch {
	case mask == 0:
		c.Respond(F("Events", "Off"))
	case mask != ClassAll || !broken:
		c.Respond(F("Events", "On"))
	}
}

// userEvent sends all headers but Action and UserEvent on as they came
// (action_userevent): the ActionID, too, and to all sessions.
func userEvent(c *Call) {
	srv := c.session.srv
	c.Success("Event Sent")
	now := time.Now()
	text := srv.event("UserEvent", ClassUser, now, nil)
	text = text[:len(text)-len("\r\n")]
	text = appendHeader(text, "UserEvent", c.Get("UserEvent"))
	for _, line := range c.request.lines {
		if !hasName(line, "UserEvent:") && !hasName(line, "Action:") {
			text = append(append(text, line...), "\r\n"...)
		}
	}
	srv.broadcast(queued{at: now, class: ClassUser, name: "UserEvent", text: appendEnd(text)})
}

func hasName(line, name string) bool {
	return len(line) >= len(name) && strings.EqualFold(line[:len(name)], name)
}

// waitEvent ends with the first event, with input of the client, or in time. Any
// event ends it, also one that the client does not get: Asterisk has one queue
// for all sessions, and the mask counts when it sends (action_waitevent).
func waitEvent(c *Call) {
	s := c.session
	var late <-chan time.Time // nil: wait for ever
	if seconds, err := strconv.Atoi(c.Get("Timeout")); err == nil && seconds >= 0 {
		t := time.NewTimer(time.Duration(seconds) * time.Second)
		defer t.Stop()
		late = t.C
	}
	s.events.waiting.Store(true)
	defer s.events.waiting.Store(false)
	if s.backlog() == 0 && s.fill(s.events.notify, late) != nil {
		return
	}
	c.Success("Waiting for Event completed.")
	if s.flush() != nil {
		return
	}
	c.Raw(appendEnd(c.head("Event", "WaitEventComplete")))
}

// filterAction adds a filter to the session (action_filter).
func filterAction(c *Call) {
	if !c.is("Operation", "Add") {
		c.Error("Unknown operation")
		return
	}
	f, compile := filter{}, compileLegacy
	pattern := c.Get("Filter")
	if criteria := c.Get("MatchCriteria"); criteria != "" {
		f.exclude = strings.Contains(criteria, "action(exclude)")
		if _, rest, ok := strings.Cut(criteria, "name("); ok {
			f.name, _, _ = strings.Cut(rest, ")")
		}
		pattern, compile = matchPattern(criteria, pattern), regexp.CompilePOSIX
	} else if rest, ok := strings.CutPrefix(pattern, "!"); ok {
		f.exclude, pattern = true, rest
	}
	if pattern != "" {
		re, err := compile(pattern)
		if err != nil {
			c.Error("Filter did not compile.  Check the syntax of the filter given.")
			return
		}
		f.text = re
	}
	c.session.addFilter(f)
	c.Success("Success")
}

// compileLegacy compiles what regcomp gets with REG_EXTENDED: the event is one
// text to it, and a line end in it a character like any other.
func compileLegacy(pattern string) (*regexp.Regexp, error) {
	re, err := syntax.Parse(pattern, syntax.POSIX|syntax.OneLine|syntax.ClassNL|syntax.DotNL)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(re.String())
}

// matchPattern makes a regular expression over the whole event of header() and
// method().
func matchPattern(criteria, filter string) string {
	header, anywhere := "", true
	if _, rest, ok := strings.Cut(criteria, "header("); ok {
		header, _, _ = strings.Cut(rest, ")")
		anywhere = false
	}
	_, method, _ := strings.Cut(criteria, "method(")
	method, _, _ = strings.Cut(method, ")")
	quoted := regexp.QuoteMeta(filter)
	switch method {
	case "none":
		return ""
	case "exact":
		filter = "^" + quoted + "\r?$"
	case "starts_with":
		filter = "^" + quoted
	case "ends_with":
		filter = quoted + "\r?$"
	case "contains":
		filter = quoted
	}
	if anywhere {
		return filter
	}
	rest, atStart := strings.CutPrefix(filter, "^")
	if !atStart {
		rest = "[^\n]*" + rest
	}
	return "^" + regexp.QuoteMeta(header) + ": " + rest
}
