package main

import (
	"fmt"
	"go/format"
	"slices"
	"strconv"
	"strings"
)

func gofmt(text string) ([]byte, error) {
	b, err := format.Source([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, text)
	}
	return b, nil
}

// comment breaks text into lines behind "//".
func comment(indent, text string) string {
	const width = 78
	var b strings.Builder
	column := 0
	for w := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			fmt.Fprintf(&b, "%s// %s", indent, w)
			column = len(w) + 3
		case column+1+len(w) > width:
			fmt.Fprintf(&b, "\n%s// %s", indent, w)
			column = len(w) + 3
		default:
			fmt.Fprintf(&b, " %s", w)
			column += 1 + len(w)
		}
	}
	return b.String()
}

// structs returns the file of the events of one topic.
func (m *model) structs(file string) string {
	var b strings.Builder
	for i := range m.events {
		if e := &m.events[i]; e.file == file {
			e.print(&b, m.blocks)
		}
	}
	var imports []string
	for _, pkg := range []string{"slices", "time"} {
		if strings.Contains(b.String(), pkg+".") {
			imports = append(imports, strconv.Quote(pkg))
		}
	}
	clause := ""
	switch len(imports) {
	case 0:
	case 1:
		clause = "\nimport " + imports[0] + "\n"
	default:
		clause = "\nimport (\n" + strings.Join(imports, "\n") + "\n)\n"
	}
	return header + "\npackage event\n" + clause + b.String()
}

func (e *event) print(b *strings.Builder, blocks map[string][]field) {
	fmt.Fprintf(b, "\n%s\ntype %s struct {\n\tEvent\n", e.doc(), e.goName)
	if len(e.blocks)+len(e.fields) > 0 {
		fmt.Fprintln(b)
	}
	for _, bl := range e.blocks {
		fmt.Fprintf(b, "\t%s %s%s\n", bl.goName, bl.goType, bl.note())
	}
	if len(e.blocks) > 0 && len(e.fields) > 0 {
		fmt.Fprintln(b)
	}
	printFields(b, e.fields)
	fmt.Fprintf(b, "}\n\n// EventName is %q.\nfunc (*%s) EventName() string { return %q }\n", e.Name, e.goName, e.Name)
	fmt.Fprintf(b, "\n// DecodeEvent implements [Typed].\nfunc (e *%s) DecodeEvent(ev Event) []FieldError {\n\te.Event = ev\n", e.goName)
	if len(e.blocks)+len(e.fields) == 0 {
		fmt.Fprintf(b, "\treturn nil\n}\n")
		return
	}
	fmt.Fprintf(b, "\td := decode(ev)\n\tfor d.next() {\n")
	e.printSwitch(b)
	fmt.Fprintf(b, "\t}\n")
	for _, bl := range e.blocks {
		printReverse(b, "e."+bl.goName, blocks[bl.Kind])
	}
	printReverse(b, "e", e.fields)
	fmt.Fprintf(b, "\treturn d.done()\n}\n")
}

func (e *event) printSwitch(b *strings.Builder) {
	var other []string
	for _, bl := range e.blocks {
		other = append(other, fmt.Sprintf("e.%s.decode(&d, %q)", bl.goName, bl.Prefix))
	}
	// The longer prefixes first: they are the more probable.
	slices.SortStableFunc(other, func(a, b string) int { return len(b) - len(a) })
	if slices.ContainsFunc(e.fields, func(f field) bool { return f.goName == "Reports" }) {
		other = append([]string{"d.report(&e.Reports)"}, other...)
	}
	rest := strings.Join(other, " || ")
	if len(other) > 1 {
		rest = "_ = " + rest
	}
	if len(e.fields) == 0 {
		fmt.Fprintf(b, "\t\t%s\n", rest)
		return
	}
	fmt.Fprintf(b, "\t\tswitch d.key {\n")
	printCases(b, "e", e.fields)
	if rest != "" {
		fmt.Fprintf(b, "\t\tdefault:\n\t\t\t%s\n", rest)
	}
	fmt.Fprintf(b, "\t\t}\n")
}

func printFields(b *strings.Builder, fields []field) {
	for _, f := range fields {
		note := f.note()
		if len(note) > 60 {
			fmt.Fprintf(b, "%s\n\t%s %s\n", comment("\t", note), f.goName, f.goType)
			continue
		}
		if note != "" {
			note = " // " + note
		}
		fmt.Fprintf(b, "\t%s %s%s\n", f.goName, f.goType, note)
	}
}

func printCases(b *strings.Builder, receiver string, fields []field) {
	for _, f := range fields {
		if f.read == "" { // RTCP reports
			continue
		}
		var keys []string
		for _, key := range f.keys {
			keys = append(keys, strconv.Quote(key))
		}
		read := f.read
		if f.Repeatable {
			read = fmt.Sprintf("append(%s.%s, %s)", receiver, f.goName, read)
		}
		fmt.Fprintf(b, "\t\tcase %s:\n\t\t\t%s.%s = %s\n", strings.Join(keys, ", "), receiver, f.goName, read)
	}
}

// printReverse brings lists into the order of the event: the last header of their
// name was decoded first.
func printReverse(b *strings.Builder, of string, fields []field) {
	for _, f := range fields {
		if f.Repeatable && f.read != "" { // RTCP reports have numbers
			fmt.Fprintf(b, "\tslices.Reverse(%s.%s)\n", of, f.goName)
		}
	}
}

// snapshots returns the file of the blocks that many events share.
func (m *model) snapshots() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\npackage event\n\nimport \"strings\"\n", header)
	for _, s := range []struct{ kind, goName, doc string }{
		{"channel", "Channel", "is a channel as it was when the event was made. Before the names of its headers stands the prefix that the field has: DestCallerIDNum is DestChannel.CallerIDNum."},
		{"bridge", "Bridge", "is a bridge as it was when the event was made. Before the names of its headers stands the prefix that the field has: ToBridgeUniqueid is ToBridge.UniqueID."},
	} {
		fields := m.blocks[s.kind]
		fmt.Fprintf(&b, "\n%s\ntype %s struct {\n", comment("", s.goName+" "+s.doc), s.goName)
		printFields(&b, fields)
		fmt.Fprintf(&b, "}\n\n// decode takes the header if it is one of the block with this prefix.\n")
		fmt.Fprintf(&b, "func (b *%s) decode(d *decoder, prefix string) bool {\n", s.goName)
		fmt.Fprintf(&b, "\tkey, ok := strings.CutPrefix(d.key, prefix)\n\tif !ok {\n\t\treturn false\n\t}\n\tswitch key {\n")
		printCases(&b, "b", fields)
		fmt.Fprintf(&b, "\tdefault:\n\t\treturn false\n\t}\n\treturn true\n}\n")
	}
	return b.String()
}

// decode returns the file of the function for type switches.
func (m *model) decode() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\npackage event\n\nimport \"strings\"\n", header)
	fmt.Fprintf(&b, `
// Decode returns a pointer to the struct of this package for e, for a type
// switch, or e itself if there is none: a gap, or an event that Asterisk got
// after this package was made. A program that calls it carries the code for all
// events; As brings in that for one.
func Decode(e Event) any {
	if t := typed(e, e.Name()); t != nil {
		return t
	}
	for _, name := range [...]string{
`)
	for _, e := range m.events {
		fmt.Fprintf(&b, "\t\t%q,\n", e.Name)
	}
	fmt.Fprintf(&b, `	} {
		if strings.EqualFold(name, e.Name()) {
			return typed(e, name)
		}
	}
	return e
}

// typed returns e as the type for the name, nil if there is none.
func typed(e Event, name string) any {
	switch name {
`)
	for _, e := range m.events {
		fmt.Fprintf(&b, "\tcase %q:\n\t\treturn as[%s](e)\n", e.Name, e.goName)
	}
	fmt.Fprintf(&b, "\tdefault:\n\t\treturn nil\n\t}\n}\n")
	return b.String()
}
