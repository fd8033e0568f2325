package main

import (
	"regexp"
	"strings"

	"github.com/apn/ami/event"
)

// A condition is one --where: what a header of an event must be.
type condition struct {
	header  string
	negated bool
	value   string
	pattern *regexp.Regexp // in place of value
}

// whereHelp is what a wrong --where is told.
const whereHelp = "must be Header=Value, Header!=Value, Header~Regexp or Header!~Regexp"

// parseWhere reads a condition.
func parseWhere(s string) (condition, error) {
	at := strings.IndexAny(s, "=~!")
	if at < 0 {
		return condition{}, wrong("--where %q %s", s, whereHelp)
	}
	c := condition{header: strings.TrimSpace(s[:at])}
	rest, negated := strings.CutPrefix(s[at:], "!")
	c.negated = negated
	if c.header == "" || rest == "" || rest[0] != '=' && rest[0] != '~' {
		return condition{}, wrong("--where %q %s", s, whereHelp)
	}
	if rest[0] == '=' {
		c.value = rest[1:]
		return c, nil
	}
	var err error
	if c.pattern, err = regexp.Compile(rest[1:]); err != nil {
		return condition{}, wrong("--where %q: %v", s, err)
	}
	return c, nil
}

// holds reports whether an event fulfils the condition. Of a header that occurs
// more than once any will do; one that does not occur is empty.
func (c condition) holds(e event.Event) bool {
	met, found := false, false
	for key, value := range e.Frame.All() {
		if strings.EqualFold(key, c.header) {
			found = true
			met = met || c.fits(value)
		}
	}
	if !found {
		met = c.fits("")
	}
	return met != c.negated
}

func (c condition) fits(value string) bool {
	if c.pattern != nil {
		return c.pattern.MatchString(value)
	}
	return value == c.value
}

// parseConditions reads all of them.
func parseConditions(all []string) (conditions []condition, err error) {
	for _, s := range all {
		c, err := parseWhere(s)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

// allHold reports whether an event fulfils all conditions.
func allHold(conditions []condition) func(event.Event) bool {
	return func(e event.Event) bool {
		for _, c := range conditions {
			if !c.holds(e) {
				return false
			}
		}
		return true
	}
}
