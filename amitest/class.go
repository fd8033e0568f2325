package amitest

import (
	"slices"
	"strconv"
	"strings"
)

// A Class is a set of permission classes: what a user may read and write, and
// what an event belongs to. Combine classes with |.
type Class uint32

// The classes, with Asterisk's bits.
const (
	ClassSystem    Class = 1 << 0
	ClassCall      Class = 1 << 1
	ClassLog       Class = 1 << 2
	ClassVerbose   Class = 1 << 3
	ClassCommand   Class = 1 << 4
	ClassAgent     Class = 1 << 5
	ClassUser      Class = 1 << 6
	ClassConfig    Class = 1 << 7
	ClassDTMF      Class = 1 << 8
	ClassReporting Class = 1 << 9
	ClassCDR       Class = 1 << 10
	ClassDialplan  Class = 1 << 11
	ClassOriginate Class = 1 << 12
	ClassAGI       Class = 1 << 13
	ClassCC        Class = 1 << 15
	ClassAOC       Class = 1 << 16
	ClassTest      Class = 1 << 17
	ClassSecurity  Class = 1 << 18
	ClassMessage   Class = 1 << 30

	// ClassAll is every class.
	ClassAll Class = 1<<31 - 1
	// ClassNone is a user's way to have no class at all, as zero means all.
	ClassNone Class = 1 << 31
)

// classNames has the order of perms[] in main/manager.c.
var classNames = []struct {
	class Class
	name  string
}{
	{ClassSystem, "system"},
	{ClassCall, "call"},
	{ClassLog, "log"},
	{ClassVerbose, "verbose"},
	{ClassCommand, "command"},
	{ClassAgent, "agent"},
	{ClassUser, "user"},
	{ClassConfig, "config"},
	{ClassDTMF, "dtmf"},
	{ClassReporting, "reporting"},
	{ClassCDR, "cdr"},
	{ClassDialplan, "dialplan"},
	{ClassOriginate, "originate"},
	{ClassAGI, "agi"},
	{ClassCC, "cc"},
	{ClassAOC, "aoc"},
	{ClassTest, "test"},
	{ClassSecurity, "security"},
	{ClassMessage, "message"},
}

// String lists the classes as the Privilege header does (authority_to_str).
func (c Class) String() string {
	var b strings.Builder
	for _, n := range classNames {
		if c&n.class != 0 {
			b.WriteString(n.name)
			b.WriteByte(',')
		}
	}
	if b.Len() == 0 {
		return "<none>"
	}
	return b.String() + "all"
}

// orAll resolves the zero value of a user's permissions.
func (c Class) orAll() Class {
	switch c {
	case 0:
		return ClassAll
	case ClassNone:
		return 0
	}
	return c
}

// parseMask reads an event mask: on, off, a decimal number or a comma list
// (strings_to_mask). Unknown names count for nothing; an empty text is no
// mask.
func parseMask(text string) (mask Class, ok bool) {
	if text == "" {
		return 0, false
	}
	if strings.Trim(text, "0123456789") == "" {
		n, _ := strconv.ParseInt(text, 10, 32)
		return Class(n), true
	}
	switch {
	case isFalse(text):
		return 0, true
	case isTrue(text):
		return ClassAll, true
	}
	for name := range strings.SplitSeq(text, ",") {
		if name == "all" {
			return ClassAll, true
		}
		for _, n := range classNames {
			if n.name == name {
				mask |= n.class
			}
		}
	}
	return mask, true
}

func isTrue(s string) bool {
	return slices.Contains([]string{"yes", "true", "y", "t", "1", "on"}, strings.ToLower(s))
}

func isFalse(s string) bool {
	return slices.Contains([]string{"no", "false", "n", "f", "0", "off"}, strings.ToLower(s))
}
