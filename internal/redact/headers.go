package redact

import (
	"fmt"
	"iter"
	"strings"

	"github.com/apn/ami/frame"
)

// tellers maps a header that holds a value to those that say what it is the
// value of. Each may carry a number, as Value-000000 and Var-000000 do.
var tellers = map[string][]string{
	"value":           {"variable", "var", "key", "family"}, // Setvar, UpdateConfig
	"val":             {"key", "family", "variable"},        // DBPut
	"match":           {"var"},                              // UpdateConfig: the value so far
	"data":            {"application"},                      // Originate: Authenticate has the password there
	"appdata":         {"application"},
	"applicationdata": {"application"}, // DialplanExtensionAdd
}

// tells has every teller.
var tells = map[string]bool{"variable": true, "var": true, "key": true, "family": true, "application": true}

type header struct{ name, lower, value string }

// Headers returns headers, those of one message, in one line as they may be
// shown. What one of them says of another counts wherever it stands.
func (p *Policy) Headers(headers iter.Seq2[string, string]) string {
	var b strings.Builder
	for name, shown := range p.shown(headers) {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %q", name, shown)
	}
	return b.String()
}

// Wire returns a message as it was received, with the values hidden that Headers
// hides, and with secret, if it is not empty, hidden wherever it stands but in the
// name of the first header, which makes the message what it is. All other bytes
// stay, and all line ends.
func (p *Policy) Wire(f *frame.Frame, secret string) string {
	rest := f.Wire()
	var b strings.Builder
	b.Grow(len(rest))
	i := 0
	for name, shown := range p.shown(f.All()) {
		line, behind, _ := strings.Cut(rest, "\n")
		text := strings.TrimSuffix(line, "\r")
		_, value := f.At(i)
		before := text[:len(text)-len(value)] // the name, and what stands behind it
		switch {
		case secret == "":
		case i == 0 && name != "":
			shown = strings.ReplaceAll(shown, secret, Mask)
		default:
			before, shown = "", strings.ReplaceAll(before+shown, secret, Mask)
		}
		b.WriteString(before)
		b.WriteString(shown)
		b.WriteString(line[len(text):])
		b.WriteByte('\n')
		rest = behind
		i++
	}
	b.WriteString(rest)
	return b.String()
}

// shown yields the names of headers and their values as they may be shown. A line
// without a name behind a value that is hidden is the rest of that value.
func (p *Policy) shown(headers iter.Seq2[string, string]) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var all []header
		telling := make(map[string]bool)
		database := false
		for name, value := range headers {
			h := header{name, strings.ToLower(name), value}
			all = append(all, h)
			if base, _ := numbered(h.lower); tells[base] && p.secret(value) {
				telling[h.lower] = true
			}
			database = database || h.lower == "action" && len(value) > 2 && strings.EqualFold(value[:2], "DB")
		}
		hidden := false
		for _, h := range all {
			hidden = p.secret(h.name) || told(h.lower, telling) || hidden && h.name == ""
			if database && h.lower == "key" { // where in the database: no key to anything
				hidden = p.listed(h.name)
			}
			if !yield(h.name, p.show(h, hidden)) {
				return
			}
		}
	}
}

// Header returns the value as it may be shown, if nothing more is known of the
// message.
func (p *Policy) Header(name, value string) string {
	return p.show(header{name, strings.ToLower(name), value}, p.secret(name))
}

func (p *Policy) show(h header, hidden bool) string {
	switch {
	case h.value == "":
		return ""
	case hidden:
		return Mask
	case strings.Contains(h.lower, "var"): // Variable, ChanVariable(…), SetVar
		return p.variable(h.value)
	default:
		return p.text(h.value, h.lower == "command")
	}
}

// told reports whether another header says that the value of this one is a
// secret.
func told(lower string, telling map[string]bool) bool {
	base, number := numbered(lower)
	for _, t := range tellers[base] {
		if telling[t+number] {
			return true
		}
	}
	return false
}

// numbered splits Value-000000 before the dash.
func numbered(lower string) (base, number string) {
	if i := strings.LastIndexByte(lower, '-'); i >= 0 && strings.Trim(lower[i+1:], "0123456789") == "" {
		return lower[:i], lower[i:]
	}
	return lower, ""
}

// variable hides all that follows the first assignment to a secret: Asterisk
// splits at commas, and who wrote the value may have forgotten to escape one.
func (p *Policy) variable(s string) string {
	start, named := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			start, named = i+1, false
		case '=':
			if !named && p.secret(s[start:i]) && i+1 < len(s) {
				return p.Text(s[:i]) + "=" + Mask
			}
			named = true
		}
	}
	return p.Text(s)
}
