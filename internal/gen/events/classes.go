package main

import (
	"fmt"
	"slices"
	"strings"
)

// classes returns the table of package eventset: the events that Asterisk
// broadcasts, and all classes that one of them has in any version. An event
// without a class is only ever written to the session that asked for it.
func (m *model) classes() string {
	var all []string
	for _, e := range m.events {
		for _, class := range e.Class {
			if !slices.Contains(all, class) {
				all = append(all, class)
			}
		}
	}
	slices.Sort(all)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\npackage eventset\n\n// classes names the classes; the place of a name is its bit in a Mask.\nvar classes = [...]string{\n", header)
	for _, class := range all {
		fmt.Fprintf(&b, "\t%q,\n", class)
	}
	fmt.Fprint(&b, "}\n\ntype entry struct {\n\tname    string\n\tclasses Mask\n}\n\nvar table = [...]entry{\n")
	for _, e := range m.events {
		if len(e.Class) == 0 {
			continue
		}
		bits := 0
		for _, class := range e.Class {
			bits |= 1 << slices.Index(all, class)
		}
		fmt.Fprintf(&b, "\t{%q, %#x},\n", e.Name, bits)
	}
	return b.String() + "}\n"
}
