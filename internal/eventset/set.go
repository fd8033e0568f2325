// Package eventset says by which event mask and by which filter Asterisk sends
// a given set of events. What it knows of events is in table.go, generated from
// the catalogue of Asterisk 18 to 23. Everything here is a value and pure.
package eventset

import (
	"slices"
	"strings"
)

// A Set is a set of events. The zero Set is empty.
type Set struct {
	all  bool // every event, also those that the table does not have
	bits [(len(table) + 63) / 64]uint64
}

// Of returns the set of the events of these names, whatever the case. That is
// every event if there is no name, or one that the table does not have: nobody
// can tell to what class such an event belongs.
func Of(names ...string) Set {
	var s Set
	for _, name := range names {
		i := slices.IndexFunc(table[:], func(e entry) bool { return strings.EqualFold(e.name, name) })
		if i < 0 {
			return Set{all: true}
		}
		s.bits[i/64] |= 1 << (i % 64)
	}
	s.all = len(names) == 0
	return s
}

// All reports whether s is every event.
func (s Set) All() bool { return s.all }

// Union returns what is in s or in o.
func (s Set) Union(o Set) Set {
	s.all = s.all || o.all
	for i := range s.bits {
		s.bits[i] |= o.bits[i]
	}
	return s
}

// Less returns what is in s and not in o.
func (s Set) Less(o Set) Set {
	if o.all {
		return Set{}
	}
	for i := range s.bits {
		s.bits[i] &^= o.bits[i]
	}
	return s
}

// Has reports whether all of o is in s.
func (s Set) Has(o Set) bool { return s.all || o.Less(s) == Set{} }

// Mask returns the classes that a session needs to get the events of s.
func (s Set) Mask() Mask {
	if s.all {
		return everything
	}
	var m Mask
	for i := range table {
		if s.in(i) {
			m |= table[i].classes
		}
	}
	return m
}

func (s Set) in(i int) bool { return s.bits[i/64]&(1<<(i%64)) != 0 }

// patternMost bounds a pattern: Asterisk reads lines of 1,023 bytes.
const patternMost = 900

// Pattern returns the value of a Filter action that includes the events of s: a
// POSIX extended regular expression over the whole text of an event, which
// Asterisk 18 to 23 all take. It is "" if s is too large for one line.
func (s Set) Pattern() string {
	if s.all {
		return "^Event: "
	}
	var names []string
	for i := range table {
		if s.in(i) {
			names = append(names, table[i].name)
		}
	}
	p := "^Event: (" + strings.Join(names, "|") + ")[[:cntrl:]]"
	if len(p) > patternMost {
		return ""
	}
	return p
}

// A Mask is a set of Asterisk's permission classes, of which an event mask is
// one: Asterisk sends an event whose classes are all in it.
type Mask uint32

// everything is more than all classes: whatever an unknown event needs.
const everything = ^Mask(0)

// Has reports whether all classes of o are in m.
func (m Mask) Has(o Mask) bool { return m&o == o }

// String returns the mask as Login and Events take it.
func (m Mask) String() string {
	switch m {
	case everything:
		return "on"
	case 0:
		return "off"
	}
	var names []string
	for i, name := range classes {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
