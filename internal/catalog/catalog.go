// Package catalog holds the facts from which the typed actions and events are
// generated: what Asterisk 18, 20, 22 and 23 read and send, taken from their
// sources. asterisk.json explains its own keys under _schema; overlay.json
// corrects it where a recording of a real server says otherwise, and says how a
// thing is called in Go where the rule would not do. Only the generator and
// tests import it.
package catalog

import (
	_ "embed" // the data
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed asterisk.json
var asterisk []byte

// A Catalog is everything.
type Catalog struct {
	Versions  []Version           `json:"versions"`
	Snapshots map[string]Snapshot `json:"snapshots"` // "channel", "bridge"
	Actions   []Action            `json:"actions"`
	Events    []Event             `json:"events"`
	// Enums by name: an object of number to text or to {name, text}, a list of
	// texts, or the name of another one.
	Enums map[string]json.RawMessage `json:"enums"`
}

// A Version is an Asterisk release that was read.
type Version struct{ Major, Tag, AMI string }

// A Snapshot is a block of headers that many events share.
type Snapshot struct {
	Fields []Param  `json:"fields"`
	Notes  []string `json:"notes"`
}

// An Action is one request.
type Action struct {
	Name         string   `json:"name"`
	Since        string   `json:"since"`
	Versions     []string `json:"versions"`
	AddedIn      []string `json:"added_in"`
	RemovedAfter string   `json:"removed_after"`
	Module       string   `json:"module"`
	Source       string   `json:"source"`    // file and function
	Privilege    []string `json:"privilege"` // any of them is enough
	Params       []Param  `json:"params"`
	List         *List    `json:"list"`
	Completion   string   `json:"completion"`
	Responses    struct {
		Fields []Param `json:"fields"`
	} `json:"responses"`
	Async         *Async   `json:"async"`
	Notes         []string `json:"notes"`
	MayDisconnect string   `json:"may_disconnect"`
}

// A List is how an action's list looks.
type List struct {
	Items           []string `json:"items"`
	Complete        string   `json:"complete"`
	Empty           string   `json:"empty"` // list, error, plain-success
	OnlyWhen        string   `json:"only_when"`
	ErrorAfterStart string   `json:"error_after_start"` // terminal, non-terminal
	BrokenFraming   bool     `json:"broken_framing"`
}

// Async is where the real outcome of an action comes.
type Async struct{ Event, When, Correlate string }

// An Event is one that Asterisk broadcasts or sends as part of a list.
type Event struct {
	Name         string    `json:"name"`
	Since        string    `json:"since"`
	Versions     []string  `json:"versions"`
	AddedIn      []string  `json:"added_in"`
	RemovedAfter string    `json:"removed_after"`
	Kind         []string  `json:"kind"`  // async, list-item, list-complete, reply-item
	Class        []string  `json:"class"` // all of them are needed
	Module       string    `json:"module"`
	Params       []Param   `json:"params"`
	Snapshots    []SnapUse `json:"snapshots"`
	Notes        []string  `json:"notes"`
	Open         bool      `json:"open"` // any other header may come
}

// A SnapUse is a Snapshot with a prefix before the names of its headers.
type SnapUse struct {
	Kind     string `json:"kind"`
	Prefix   string `json:"prefix"`
	Optional bool   `json:"optional"`
}

// A Param is a header of an action, an event or a Response.
type Param struct {
	Name                  string   `json:"name"`
	Required              bool     `json:"required"` // actions
	Optional              *bool    `json:"optional"` // events; nil: not known
	Repeatable            bool     `json:"repeatable"`
	Type                  string   `json:"type"`
	Format                string   `json:"format"`
	Unit                  string   `json:"unit"`
	Enum                  []string `json:"enum"`
	EnumRef               string   `json:"enumref"`
	Default               string   `json:"default"`
	Escaped               string   `json:"escaped"`
	Semantic              string   `json:"semantic"`
	Condition             string   `json:"condition"`
	OnlyFor               string   `json:"only_for"`
	AliasOf               string   `json:"alias_of"`
	DocName               string   `json:"doc_name"`
	Also                  []string `json:"also"` // overlay: other spellings that were seen
	Since                 string   `json:"since"`
	RemovedAfter          string   `json:"removed_after"`
	MaxLen                int      `json:"maxlen"`
	DocOnly               bool     `json:"doc_only"`
	ConditionallyRequired bool     `json:"conditionally_required"`
}

// Spellings returns the header as the newest version spells it and as others or
// the documentation do. Which of them comes depends on version and module.
func (p *Param) Spellings() []string {
	s := append([]string{p.Name}, p.Also...)
	if p.DocName != "" && p.DocName != p.Name {
		s = append(s, p.DocName)
	}
	return s
}

// Load returns the catalogue with the overlay applied.
func Load() (*Catalog, error) {
	var c Catalog
	if err := json.Unmarshal(asterisk, &c); err != nil {
		return nil, fmt.Errorf("asterisk.json: %w", err)
	}
	if err := c.overlay(); err != nil {
		return nil, fmt.Errorf("overlay.json: %w", err)
	}
	return &c, nil
}

// GoName returns the Go name of an action, an event or a header: its own
// spelling without what Go does not take ("Cause-txt" is CauseTxt, "AOC-D" is
// AOCD, "100rel" is X100rel).
func GoName(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' && upper:
			b.WriteRune(r - 'a' + 'A')
			upper = false
		case r >= '0' && r <= '9' && b.Len() == 0:
			b.WriteString("X")
			b.WriteRune(r)
			upper = false
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			b.WriteRune(r)
			upper = false
		default:
			upper = true
		}
	}
	return b.String()
}
