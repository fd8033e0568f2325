package action

import (
	"strings"

	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// BridgeInfoResult is the answer to BridgeInfo.
type BridgeInfoResult struct {
	Answer

	Bridge   event.Bridge // what the end of the list tells of it
	Channels []event.BridgeInfoChannel
}

// Decode implements Typed.
func (BridgeInfo) Decode(a Answer) BridgeInfoResult {
	return BridgeInfoResult{Answer: a, Bridge: one[event.BridgeInfoComplete](a).Bridge, Channels: items[event.BridgeInfoChannel](a)}
}

// A CommandResult is what a CLI command has printed.
type CommandResult struct {
	Answer

	Output []string // line by line
}

// Decode implements Typed.
func (Command) Decode(a Answer) CommandResult {
	return CommandResult{Answer: a, Output: a.Response.Values("Output")}
}

// CommandFacts are what ListCommands tells of an action.
type CommandFacts struct {
	Name      string
	Synopsis  string
	Privilege []string // any of them is enough; none is needed if there is none
}

// Decode implements Typed.
func (ListCommands) Decode(a Answer) []CommandFacts {
	var list []CommandFacts
	for key, value := range a.Response.All() {
		synopsis, classes, ok := strings.Cut(value, "  (Priv: ")
		if !ok {
			if synopsis, classes, ok = strings.Cut(value, " (Priv: "); !ok {
				continue // a header of the Response itself
			}
		}
		c := CommandFacts{Name: key, Synopsis: strings.TrimSpace(synopsis)}
		if classes = strings.TrimSuffix(classes, ")"); classes != "<none>" {
			c.Privilege = strings.Split(strings.TrimSuffix(classes, ",all"), ",") // every list ends with all
		}
		list = append(list, c)
	}
	return list
}

// A QueueRuleList is a named list of rules by which penalties change with the
// time that a caller waits.
type QueueRuleList struct {
	Name  string
	Rules []string // "time,max,min" each; a sign before a penalty makes it relative
}

// Decode implements Typed.
func (QueueRule) Decode(a Answer) []QueueRuleList {
	var list []QueueRuleList
	for key, value := range a.Response.All() {
		switch {
		case key == "RuleList":
			list = append(list, QueueRuleList{Name: value})
		case key == "Rule" && len(list) > 0:
			last := &list[len(list)-1]
			last.Rules = append(last.Rules, value)
		}
	}
	return list
}

// Decode implements Typed. It returns the rows of the table as Asterisk's CLI
// prints them.
func (IAXnetstats) Decode(a Answer) []string {
	var rows []string
	for _, f := range a.Items {
		for line := range strings.Lines(f.Wire()) { // a row may have a colon and is no header all the same
			if row := strings.TrimRight(line, "\r\n"); row != "" {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// A SKINNYResult is the answer to SKINNYshowdevice or SKINNYshowline: headers
// without a Response.
type SKINNYResult struct{ Answer }

// Get returns the value of the first header of that name, "" if there is none.
func (r SKINNYResult) Get(key string) string {
	for _, f := range r.Items {
		if v, ok := f.Lookup(key); ok {
			return v
		}
	}
	return ""
}

// Decode implements Typed.
func (SKINNYshowdevice) Decode(a Answer) SKINNYResult { return SKINNYResult{a} }

// Decode implements Typed.
func (SKINNYshowline) Decode(a Answer) SKINNYResult { return SKINNYResult{a} }

// Decode implements Typed.
func (SKINNYdevices) Decode(a Answer) []event.DeviceEntry { return items[event.DeviceEntry](apart(a)) }

// Decode implements Typed.
func (SKINNYlines) Decode(a Answer) []event.LineEntry { return items[event.LineEntry](apart(a)) }

// apart makes an item of each event of a list that came as one message: a new one
// begins with each header Event (channels/chan_skinny.c:_skinny_show_devices).
func apart(a Answer) Answer {
	var texts []string
	for _, f := range append(a.Items[:len(a.Items):len(a.Items)], a.End) {
		if f == nil {
			continue
		}
		for key, value := range f.All() {
			if key == "Event" {
				texts = append(texts, "")
			}
			if last := len(texts) - 1; last >= 0 {
				texts[last] += key + ": " + value + "\r\n"
			}
		}
	}
	a.Items = nil
	for _, text := range texts {
		if f, err := frame.Parse(text + "\r\n"); err == nil { // it was one before
			a.Items = append(a.Items, f)
		}
	}
	return a
}
