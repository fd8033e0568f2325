// Package redact keeps secrets out of what people read: log records and error
// texts. An assignment to something whose name speaks of a secret is hidden
// rather too much than too little; a plain sentence stays readable.
package redact

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Mask stands in for what is hidden.
const Mask = "[redacted]"

// Rules say what is a secret, in addition to the built-in ones.
type Rules struct {
	// Headers are names whose values are hidden, whatever the case.
	Headers []string
	// Names are regular expressions; the value of a header whose name matches
	// one is hidden.
	Names []string
	// Values are regular expressions; what matches in any value is hidden, or,
	// if the expression has groups, what its groups match.
	Values []string
}

// A PatternError reports a pattern that is no regular expression. It does not hold
// the pattern, which may be the secret that it is to hide.
type PatternError struct {
	Rule   string // where it stands: "Names[0]"
	Reason string // "is no regular expression: missing closing )"
}

func (e *PatternError) Error() string { return "redact: " + e.Rule + " " + e.Reason }

// A Policy is a compiled set of rules. It is immutable.
type Policy struct {
	headers map[string]bool
	names   []*regexp.Regexp
	values  []*regexp.Regexp
}

// New compiles r on top of the built-in rules. The error joins a *PatternError
// for each pattern that is none.
func New(r Rules) (*Policy, error) {
	p := &Policy{headers: make(map[string]bool)}
	for _, h := range r.Headers {
		p.headers[strings.ToLower(h)] = true
	}
	var errs []error
	compile := func(rule string, patterns []string) (all []*regexp.Regexp) {
		for i, pattern := range patterns {
			re, err := regexp.Compile(pattern)
			if err != nil {
				e := &PatternError{Rule: fmt.Sprintf("%s[%d]", rule, i), Reason: "is no regular expression"}
				if s, ok := errors.AsType[*syntax.Error](err); ok {
					e.Reason += ": " + s.Code.String()
				}
				errs = append(errs, e)
				continue
			}
			all = append(all, re)
		}
		return all
	}
	p.names = compile("Names", r.Names)
	p.values = compile("Values", r.Values)
	return p, errors.Join(errs...)
}

// Text hides in any text what is assigned to a name that speaks of a secret,
// and what the value patterns find. What it returns it leaves as it is.
func (p *Policy) Text(s string) string { return p.text(s, false) }

func (p *Policy) text(s string, command bool) string {
	s = scan(s, command)
	for _, re := range p.values {
		s = hide(re, s)
	}
	return s
}

// secret reports whether name, of a header or of a variable, speaks of a secret.
func (p *Policy) secret(name string) bool { return speaks(name, words) || p.listed(name) }

// listed reports whether the rules of the caller name it.
func (p *Policy) listed(name string) bool {
	return p.headers[strings.ToLower(name)] ||
		slices.ContainsFunc(p.names, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// A span is a part of a text.
type span struct{ from, to int }

// hide replaces the groups of each match, or the match if there are none. A
// Mask that is there already is one with what overlaps it.
func hide(re *regexp.Regexp, s string) string {
	matches := re.FindAllStringSubmatchIndex(s, -1)
	if matches == nil {
		return s
	}
	var all []span
	for _, m := range matches {
		if len(m) > 2 {
			m = m[2:]
		}
		for i := 0; i < len(m); i += 2 {
			if m[i] < m[i+1] { // else a group that took no part, or nothing to hide
				all = append(all, span{m[i], m[i+1]})
			}
		}
	}
	for at := 0; ; at += len(Mask) {
		i := strings.Index(s[at:], Mask)
		if i < 0 {
			break
		}
		at += i
		all = append(all, span{at, at + len(Mask)})
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })

	var b strings.Builder
	end := 0
	for _, sp := range all {
		if sp.from >= end {
			b.WriteString(s[end:sp.from])
			b.WriteString(Mask)
		}
		end = max(end, sp.to)
	}
	b.WriteString(s[end:])
	return b.String()
}
