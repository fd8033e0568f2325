package action

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/strategy"
)

// UpdateConfig changes a configuration file (main/manager.c:action_updateconfig).
// Privilege config. Asterisk makes the changes in order and writes the file only
// if all of them could be made.
type UpdateConfig struct {
	// SrcFilename is read and DstFilename written; they may be the same. Required.
	SrcFilename string
	DstFilename string
	// Reload is yes, or the name of the module to reload behind the change. Empty:
	// nothing is reloaded.
	Reload string
	// DropEffectiveContext sends PreserveEffectiveContext: no. By default, when a
	// template changes, the categories that inherit from it keep what they had.
	DropEffectiveContext bool
	Changes              []ConfigChange
}

// A ConfigChange is one step of UpdateConfig. It prints and marshals without
// Value and Match, which may be secrets.
type ConfigChange struct {
	// Action is one of NewCat, RenameCat, DelCat, EmptyCat, Update, Delete,
	// Append, Insert. Required.
	Action string
	Cat    string // the category
	Var    string // the variable in it
	Value  string
	Match  string // the variable must have this value
	Line   string // number of the line within the category, from 0, for Insert and Delete
	// Options are those of NewCat: allowdups, template, inherit="…", catfilter="…",
	// separated by commas.
	Options string
}

// String returns what is changed, and a mark in place of the value.
func (c ConfigChange) String() string {
	return fmt.Sprintf("%s [%s] %s=%s", c.Action, c.Cat, c.Var, redacted)
}

// Format makes every verb print what String returns.
func (c ConfigChange) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, c.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (c ConfigChange) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// maxChanges is what fits the six digits of the header names. The limit of 128
// headers for an action comes first.
const maxChanges = 1_000_000

// Name implements Action.
func (UpdateConfig) Name() string { return "UpdateConfig" }

// AppendFields implements Action.
func (a UpdateConfig) AppendFields(dst []frame.Field) ([]frame.Field, error) {
	f := fields{action: "UpdateConfig", dst: dst}
	f.required("SrcFilename", a.SrcFilename)
	f.required("DstFilename", a.DstFilename)
	f.optional("Reload", a.Reload)
	if a.DropEffectiveContext {
		f.add("PreserveEffectiveContext", "no")
	}
	if len(a.Changes) > maxChanges {
		f.invalid("Action", "occurs too often")
		return f.done()
	}
	for n, c := range a.Changes {
		key := func(name string) string { return fmt.Sprintf("%s-%06d", name, n) }
		f.requiredOneOf(key("Action"), c.Action, "NewCat", "RenameCat", "DelCat", "EmptyCat", "Update", "Delete", "Append", "Insert")
		f.optional(key("Cat"), c.Cat)
		f.optional(key("Var"), c.Var)
		f.optional(key("Value"), c.Value)
		f.optional(key("Match"), c.Match)
		f.optional(key("Line"), c.Line)
		f.optional(key("Options"), c.Options)
	}
	return f.done()
}

// Strategy implements Action.
func (UpdateConfig) Strategy() strategy.Strategy { return strategy.Strategy{Kind: strategy.Single} }

// Decode implements Typed.
func (UpdateConfig) Decode(a Answer) Success { return Success{a} }

// A ConfigCategory is one section of a configuration file.
type ConfigCategory struct {
	Name     string
	Template bool
	Bases    []string // templates that it inherits from
	Lines    []ConfigLine
}

// A ConfigLine is one setting. It prints and marshals without its value, which
// may be a secret.
type ConfigLine struct{ Name, Value string }

// String returns the name, and a mark in place of the value.
func (l ConfigLine) String() string { return l.Name + "=" + redacted }

// Format makes every verb print what String returns.
func (l ConfigLine) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, l.String()) // a fmt.State has nowhere to report to
}

// MarshalText returns what String returns, for JSON and slog.
func (l ConfigLine) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// A GetConfigResult is the answer to GetConfig.
type GetConfigResult struct {
	Answer

	Categories []ConfigCategory // in the order of the file
}

// Decode implements Typed.
func (GetConfig) Decode(a Answer) GetConfigResult {
	r := GetConfigResult{Answer: a}
	at := map[string]int{} // number of a category in the headers → index
	for key, value := range a.Response.All() {
		name, number, ok := strings.Cut(key, "-")
		if !ok {
			continue
		}
		if name == "Category" {
			at[number] = len(r.Categories)
			r.Categories = append(r.Categories, ConfigCategory{Name: value})
			continue
		}
		number, _, _ = strings.Cut(number, "-") // Line-000001-000002
		i, ok := at[number]
		if !ok {
			continue
		}
		c := &r.Categories[i]
		switch name {
		case "IsTemplate":
			c.Template = value != "0"
		case "Templates":
			c.Bases = strings.Split(strings.Trim(value, `"`), ",")
		case "Line":
			name, value, _ := strings.Cut(value, "=")
			c.Lines = append(c.Lines, ConfigLine{Name: name, Value: value})
		}
	}
	return r
}

// Decode implements Typed. It returns the categories in the order of the file.
func (ListCategories) Decode(a Answer) []string {
	var list []string
	for key, value := range a.Response.All() {
		if strings.HasPrefix(key, "Category-") {
			list = append(list, value)
		}
	}
	return slices.Clip(list)
}
