// Package redact keeps secrets out of what people read: log records and error
// texts.
package redact

import (
	"fmt"
	"iter"
	"regexp"
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

// The built-in rules: header names, and assignments inside values such as
// "Variable: API_TOKEN=…".
const (
	builtinNames  = `(?i)(secret|passw|token|auth|key|credential|md5)`
	builtinValues = `(?i)[\w.-]*(?:secret|passw|token|auth|key|credential)[\w.)-]*\s*[=:]\s*"?([^\s,;"&]+)`
)

// A PatternError reports a pattern that is no regular expression.
type PatternError struct {
	Pattern string
	Err     error
}

func (e *PatternError) Error() string { return fmt.Sprintf("redact: pattern %q: %v", e.Pattern, e.Err) }

// Unwrap returns Err.
func (e *PatternError) Unwrap() error { return e.Err }

// A Policy is a compiled set of rules. It is immutable.
type Policy struct {
	headers map[string]bool
	names   []*regexp.Regexp
	values  []*regexp.Regexp
}

// New compiles r on top of the built-in rules. The error is a *PatternError.
func New(r Rules) (*Policy, error) {
	p := &Policy{headers: make(map[string]bool)}
	for _, h := range r.Headers {
		p.headers[strings.ToLower(h)] = true
	}
	var err error
	if p.names, err = compile(append([]string{builtinNames}, r.Names...)); err != nil {
		return nil, err
	}
	if p.values, err = compile(append([]string{builtinValues}, r.Values...)); err != nil {
		return nil, err
	}
	return p, nil
}

func compile(patterns []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, pattern := range patterns {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, &PatternError{Pattern: pattern, Err: err}
		}
		all = append(all, re)
	}
	return all, nil
}

// Header returns the value as it may be shown.
func (p *Policy) Header(name, value string) string {
	if value != "" && p.secret(name) {
		return Mask
	}
	return p.Text(value)
}

// secret tells whether what has this name is to be hidden.
func (p *Policy) secret(name string) bool {
	return p.headers[strings.ToLower(name)] ||
		slices.ContainsFunc(p.names, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// Text hides what the value patterns find in any text.
func (p *Policy) Text(s string) string {
	for _, re := range p.values {
		s = hide(re, s)
	}
	return s
}

// hide replaces the groups of each match, or the match if there are none.
func hide(re *regexp.Regexp, s string) string {
	var b strings.Builder
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		spans := m[2:]
		if len(spans) == 0 {
			spans = m
		}
		for i := 0; i < len(spans); i += 2 {
			if spans[i] < end { // a group that took no part, or one inside another
				continue
			}
			b.WriteString(s[end:spans[i]])
			b.WriteString(Mask)
			end = spans[i+1]
		}
	}
	if end == 0 {
		return s
	}
	b.WriteString(s[end:])
	return b.String()
}

// Headers returns headers in one line as they may be shown. Where one header
// names what the next one holds ("Variable: API_TOKEN", "Value: …" of Setvar,
// "Key" and "Val" of DBPut), the name decides too.
func (p *Policy) Headers(headers iter.Seq2[string, string]) string {
	var b strings.Builder
	var named string
	for name, value := range headers {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		shown := p.Header(name, value)
		switch strings.ToLower(name) {
		case "variable", "key":
			named = value
		case "value", "val":
			if value != "" && p.secret(named) {
				shown = Mask
			}
		}
		fmt.Fprintf(&b, "%s: %q", name, shown)
	}
	return b.String()
}
