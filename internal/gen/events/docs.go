package main

import (
	"fmt"
	"strings"
)

// doc returns the comment of the struct.
func (e *event) doc() string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	say("%s", e.goName+" "+e.what())
	switch len(e.Class) {
	case 0:
	case 1:
		say("It takes class %s to get it.", e.Class[0])
	default:
		say("It takes the classes %s to get it, all of them.", and(e.Class))
	}
	if v := e.when(); v != "" {
		say("%s", v)
	}
	if e.Open {
		say("Other headers may come: see Get and Frame.")
	}
	if len(e.hidden) > 0 {
		say("%s has no field, so that it is not printed: read it with Get.", and(e.hidden))
	}
	return comment("", strings.Join(lines, " "))
}

// what says what the event tells.
func (e *event) what() string {
	var parts []string
	if len(e.ends) > 0 {
		parts = append(parts, "ends the list of "+and(e.ends))
	}
	if len(e.items) > 0 {
		parts = append(parts, "is an item in the answer to "+and(e.items))
	}
	if len(parts) == 0 {
		return "is broadcast."
	}
	return strings.Join(parts, ", and ") + "."
}

// when says which versions have it.
func (e *event) when() string {
	switch {
	case e.RemovedAfter != "":
		return "Asterisk " + e.RemovedAfter + " is the last to have it."
	case e.Since != "18":
		return "New in Asterisk " + e.Since + "."
	}
	return ""
}

func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// note returns the comment of a snapshot's field.
func (b *block) note() string {
	if b.Optional {
		return " // zero if there is none"
	}
	return ""
}

// note returns the comment of a field, often none.
func (f *field) note() string {
	var parts []string
	if f.goName == "Reports" {
		return "the headers Report0… and on"
	}
	if f.OnlyFor != "" {
		parts = append(parts, "of "+strings.ReplaceAll(f.OnlyFor, ",", " and "))
	}
	if f.Since != "" {
		parts = append(parts, "since Asterisk "+f.Since)
	}
	if f.RemovedAfter != "" {
		parts = append(parts, "up to Asterisk "+f.RemovedAfter)
	}
	return strings.Join(parts, "; ")
}

// table returns docs/events.md.
func (m *model) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Events\n\n| event | kind | classes | versions | module | type | notes |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, e := range m.events {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | `event.%s` | %s |\n", e.Name, strings.Join(e.Kind, ", "), strings.Join(e.Class, ", "),
			strings.Join(e.Versions, ", "), e.Module, e.goName, strings.Join(e.Notes, "; "))
	}
	return b.String()
}
