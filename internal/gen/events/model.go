package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// A model is the catalogue with Go names and types.
type model struct {
	catalog *catalog.Catalog
	events  []event
	blocks  map[string][]field // fields of the snapshots by their kind
	kinds   []kind
}

type event struct {
	*catalog.Event
	goName string
	file   string
	phrase string // what it tells
	fields []field
	blocks []block
	hidden []string // headers without a field because they hold secrets
	open   []string // headers without a field because their names vary
	items  []string // actions that answer with it
	ends   []string // actions whose list it ends
	tells  []string // actions whose outcome it is
}

type field struct {
	catalog.Param
	goName, goType string
	read           string   // the value, in Go
	keys           []string // the header, and other spellings of it
}

type block struct {
	catalog.SnapUse
	goName, goType string
}

func newModel(c *catalog.Catalog) (*model, error) {
	m := &model{catalog: c, blocks: make(map[string][]field)}
	var err error
	if m.kinds, err = newKinds(c); err != nil {
		return nil, err
	}
	for _, name := range []string{"channel", "bridge"} {
		for _, p := range c.Snapshots[name].Fields {
			f, err := m.field(name, p)
			if err != nil {
				return nil, err
			}
			if n := snapshotNames[name][p.Name]; n != "" {
				f.goName = n
			}
			m.blocks[name] = append(m.blocks[name], f)
		}
	}
	for i := range c.Events {
		e, err := m.event(&c.Events[i])
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", c.Events[i].Name, err)
		}
		m.events = append(m.events, e)
	}
	slices.SortFunc(m.events, func(a, b event) int {
		return strings.Compare(strings.ToLower(a.goName), strings.ToLower(b.goName))
	})
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *model) event(e *catalog.Event) (event, error) {
	out := event{Event: e, goName: catalog.GoName(e.Name), file: fileOf(e)}
	if out.file == "" {
		return out, fmt.Errorf("topics.go names no file for module %s", e.Module)
	}
	for _, s := range e.Snapshots {
		goType := catalog.GoName(s.Kind)
		out.blocks = append(out.blocks, block{SnapUse: s, goName: s.Prefix + goType, goType: goType})
	}
	reports := false
	for _, p := range e.Params {
		switch {
		case p.Name == "EventList": // always Complete
		case secrets[e.Name+"."+p.Name]:
			out.hidden = append(out.hidden, p.Name)
		case strings.HasPrefix(p.Name, "Report{n}"):
			if !reports {
				out.fields = append(out.fields, field{Param: p, goName: "Reports", goType: "[]RTCPReport"})
			}
			reports = true
		case strings.Contains(p.Name, "{"):
			out.open = append(out.open, p.Name)
		default:
			f, err := m.field(e.Name, p)
			if err != nil {
				return out, err
			}
			out.fields = append(out.fields, f)
		}
	}
	for _, a := range m.catalog.Actions {
		if a.List != nil && slices.Contains(a.List.Items, e.Name) {
			out.items = append(out.items, a.Name)
		}
		if a.List != nil && a.List.Complete == e.Name {
			out.ends = append(out.ends, a.Name)
		}
		if a.Async != nil && a.Async.Event == e.Name {
			out.tells = append(out.tells, a.Name)
		}
	}
	out.phrase = phrases[e.Name]
	if out.phrase == "" && len(out.ends) > 0 {
		out.phrase = "ends the answer to " + and(out.ends)
	}
	if out.phrase == "" {
		return out, fmt.Errorf("words.go does not say what it tells")
	}
	return out, nil
}

// field returns p with its Go name and type; of is the event or the snapshot.
func (m *model) field(of string, p catalog.Param) (field, error) {
	f := field{Param: p, goName: catalog.GoName(p.Name), keys: p.Spellings()}
	if n := fieldNames[of+"."+p.Name]; n != "" {
		f.goName = n
	}
	enum := enumFields[of+"."+p.Name]
	if p.EnumRef != "" {
		k := m.kindOf(p.EnumRef)
		if k == nil {
			return f, fmt.Errorf("%s: enums.go has no type for %s", p.Name, p.EnumRef)
		}
		enum = k.goName
	}
	text := "d.value"
	if p.Escaped == "c" {
		text = "d.text()"
	}
	switch {
	case p.Format == "name=value":
		f.goType, f.read = "Variable", "variable("+text+")"
	case enum == "DeviceState":
		f.goType, f.read = enum, "d.deviceState()"
	case enum != "" && m.kindNamed(enum) == nil:
		return f, fmt.Errorf("%s: enums.go has no type %s", p.Name, enum)
	case enum != "" && m.kindNamed(enum).text:
		f.goType, f.read = enum, enum+"("+text+")"
	case enum != "":
		f.goType, f.read = enum, enum+"(d.number())"
	default:
		var err error
		if f.goType, f.read, err = plain(p, text); err != nil {
			return f, err
		}
	}
	if p.Repeatable {
		f.goType = "[]" + f.goType
	}
	return f, nil
}

func plain(p catalog.Param, text string) (goType, read string, err error) {
	switch p.Type {
	case "string", "channel":
		return "string", text, nil
	case "int":
		return "int", "d.number()", nil
	case "float":
		return "float64", "d.float()", nil
	case "bool":
		return "bool", "d.yes()", nil
	case "timestamp":
		return "time.Time", "d.timestamp()", nil
	case "duration":
		unit := map[string]string{"s": "time.Second", "ms": "time.Millisecond", "us": "time.Microsecond"}[p.Unit]
		if unit != "" {
			return "time.Duration", "d.duration(" + unit + ")", nil
		}
	}
	return "", "", fmt.Errorf("%s: no Go type for %s %s", p.Name, p.Type, p.Unit)
}

// reserved are the names of package event that are written by hand, or printed
// without the catalogue. promoted are those that a field would hide: of the
// embedded Event, and of the methods. Name is not among them: the name of a
// queue's member is its Name, and that of the event is its EventName.
var (
	reserved = strings.Fields("As Bridge Channel Decode Event FieldError Gap Invalid MergeGaps OfGap RTCPReport Typed Variable")
	promoted = strings.Fields("DecodeEvent Event EventName Frame Gap Get Lost Node Seq String Time")
)

// check fails if two things would have the same name.
func (m *model) check() error {
	taken := make(map[string]string)
	claim := func(name, by string) error {
		if other, ok := taken[name]; ok {
			return fmt.Errorf("%s is the name of %s and of %s: see names.go", name, other, by)
		}
		taken[name] = by
		return nil
	}
	for _, name := range reserved {
		taken[name] = "what is written by hand"
	}
	for _, k := range m.kinds {
		if err := claim(k.goName, "an enum"); err != nil {
			return err
		}
		for _, v := range k.values {
			if err := claim(v.goName, "a constant"); err != nil {
				return err
			}
		}
	}
	for i := range m.events {
		e := &m.events[i]
		if err := claim(e.goName, "event "+e.Name); err != nil {
			return err
		}
		if err := e.check(m.blocks); err != nil {
			return fmt.Errorf("event %s: %w", e.Name, err)
		}
	}
	return nil
}

func (e *event) check(blocks map[string][]field) error {
	names, keys := make(map[string]bool), make(map[string]bool)
	claim := func(name string, spellings []string) error {
		if names[name] {
			return fmt.Errorf("two fields %s: see fieldNames", name)
		}
		if slices.Contains(promoted, name) {
			return fmt.Errorf("field %s hides that of Event: see fieldNames", name)
		}
		names[name] = true
		for _, key := range spellings {
			if keys[key] {
				return fmt.Errorf("two fields for header %s", key)
			}
			keys[key] = true
		}
		return nil
	}
	for _, b := range e.blocks {
		var spellings []string
		for _, f := range blocks[b.Kind] {
			spellings = append(spellings, b.Prefix+f.Param.Name)
		}
		if err := claim(b.goName, spellings); err != nil {
			return err
		}
	}
	for _, f := range e.fields {
		if err := claim(f.goName, f.keys); err != nil {
			return err
		}
	}
	return nil
}

// files lists the files for the events.
func (m *model) files() []string {
	set := make(map[string]bool)
	for _, e := range m.events {
		set[e.file] = true
	}
	return slices.Sorted(maps.Keys(set))
}
