package action

import (
	"sort"
	"strings"

	"github.com/apn/ami/strategy"
)

// Facts are what is known of an action of Asterisk 18 to 23.
type Facts struct {
	Name      string   // in Asterisk's spelling
	Module    string   // what has it: "core", "app_queue", "res_pjsip"
	Privilege []string // write classes of manager.conf; any of them is enough, none is needed if there is none
	Since     string   // the first major version of 18, 20, 22, 23 that has it
	// RemovedAfter is the last of them that has it, "" if it is still there.
	RemovedAfter string
	ListEnd      string // the event that ends its list, "" without one
	// Strategy is that of the typed action, as far as it does not depend on
	// parameters: an Originate is taken for one without Async.
	Strategy strategy.Strategy
}

// Lookup returns the facts of the action called name, whatever the case; false
// if no Asterisk from 18 to 23 has it.
func Lookup(name string) (Facts, bool) {
	r := find(name)
	if r == nil {
		return Facts{}, false
	}
	f := Facts{
		Name: r.name, Module: r.module, Since: r.since, RemovedAfter: r.removed, ListEnd: r.end,
		Strategy: r.decode(),
	}
	if r.privilege != "" {
		f.Privilege = strings.Split(r.privilege, ",")
	}
	return f, true
}

// A row is an action in the table behind Lookup. The table is all that a program
// carries of actions that it does not name.
type row struct {
	name, module, privilege, since, removed, end string
	strategy                                     string // see decode
}

func find(name string) *row {
	name = strings.ToLower(name)
	i := sort.Search(len(rows), func(i int) bool { return strings.ToLower(rows[i].name) >= name })
	if i == len(rows) || !strings.EqualFold(rows[i].name, name) {
		return nil
	}
	return &rows[i]
}

// decode returns the strategy that the text stands for: a letter for the kind,
// letters for flags, and lists of names behind a sign each.
func (r *row) decode() strategy.Strategy {
	s := r.strategy
	at := strings.IndexAny(s, ">+-=")
	if at < 0 {
		at = len(s)
	}
	var out strategy.Strategy
	for _, c := range s[:at] {
		switch c {
		case 'A':
			out.Kind = strategy.Auto
		case 'S':
			out.Kind = strategy.Single
		case 'L':
			out.Kind = strategy.List
		case 'C':
			out.Kind = strategy.Command
		case 'B':
			out.Kind = strategy.Bare
		case 'u':
			out.Unannounced = true
		case 'e':
			out.ErrorGoesOn = true
		case 'm':
			out.Merged = true
		case 'b':
			out.Blocking = true
		case '2':
			out.Responses = 2
		}
	}
	for s = s[at:]; s != ""; {
		sign := s[0]
		end := strings.IndexAny(s[1:], ">+-=") + 1
		if end == 0 {
			end = len(s)
		}
		list := strings.Split(s[1:end], ",")
		switch sign {
		case '>':
			out.Terminal = list
		case '+':
			out.Items = list
		case '-':
			out.NoActionID = list
		case '=':
			out.Empty = list
		}
		s = s[end:]
	}
	return out
}
