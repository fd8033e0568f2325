package main

import (
	"fmt"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// docOf is the comment of an action.
func docOf(a catalog.Action) (string, error) {
	what := words[a.Name]
	if what == "" {
		return "", fmt.Errorf("has no words: see words.go")
	}
	return comment(a.Name+" "+what+" ("+a.Source+"). "+strings.Join(facts(a), " "), ""), nil
}

// facts are the sentences about privilege, versions and answer.
func facts(a catalog.Action) []string {
	s := []string{privilege(a.Privilege)}
	switch {
	case a.RemovedAfter != "":
		s = append(s, fmt.Sprintf("Gone since Asterisk %s.", nextMajor(a.RemovedAfter)))
	case a.Since != "18":
		s = append(s, fmt.Sprintf("Since Asterisk %s.", since(a)))
	}
	switch {
	case a.List != nil && a.List.OnlyWhen != "":
		s = append(s, fmt.Sprintf("If %s the answer is a list.", a.List.OnlyWhen))
	case a.List != nil:
		s = append(s, fmt.Sprintf("The list ends with %s.", a.List.Complete))
		if a.List.ErrorAfterStart != "" {
			s = append(s, "An Error may come after its start.")
		}
	case a.Completion == "response+event":
		s = append(s, "The answer is an event behind the Response.")
	case a.Completion == "none":
		s = append(s, "The answer has no Response.")
	case a.Async != nil:
		s = append(s, outcome(a.Async))
	}
	if p := private[a.Name]; p != nil {
		s = append(s, fmt.Sprintf("It prints and marshals without %s, which may hold a secret.", strings.Join(p, " and ")))
	}
	if a.MayDisconnect != "" {
		s = append(s, fmt.Sprintf("Asterisk closes the session after an internal error (%s).", a.MayDisconnect))
	}
	return s
}

func outcome(a *catalog.Async) string {
	s := "The Response only says that it was begun: what becomes of it is told by the event " + a.Event
	if a.Correlate == "none" || strings.Contains(a.Correlate, "channel") {
		return s + ", which does not carry the ActionID."
	}
	return s + "."
}

func privilege(classes []string) string {
	switch n := len(classes); n {
	case 0:
		return "No privilege is needed."
	case 1:
		return "Privilege " + classes[0] + "."
	default:
		return "Privilege " + strings.Join(classes[:n-1], ", ") + " or " + classes[n-1] + "."
	}
}

func since(a catalog.Action) string {
	if len(a.AddedIn) > 0 {
		return strings.Join(a.AddedIn, ", ")
	}
	return a.Since
}

// nextMajor is the first version of those read that lacks what the given one
// still had.
func nextMajor(major string) string {
	next := map[string]string{"18": "20", "20": "22", "22": "23"}[major]
	if next == "22" { // 21 took out what 20 had deprecated
		return "21"
	}
	return next
}

// paramDoc says what a field takes, "" if its name says it all.
func paramDoc(action string, p catalog.Param) string {
	var s []string
	switch {
	case p.Required && p.Type != "bool" && p.Type != "int" && p.Type != "duration":
		s = append(s, "required")
	case p.ConditionallyRequired:
		s = append(s, "may be required")
	}
	if len(p.Enum) > 0 {
		s = append(s, "one of "+strings.Join(p.Enum, ", "))
	} else if p.Format != "" && p.Type != "bool" && p.Format != "float seconds" {
		s = append(s, p.Format)
	}
	if p.Type == "duration" {
		s = append(s, map[string]string{"ms": "whole milliseconds", "s": "whole seconds"}[p.Unit])
		if p.Format == "float seconds" {
			s[len(s)-1] = "sent as seconds with a fraction"
		}
	}
	if p.Default != "" {
		s = append(s, "Asterisk's default is "+p.Default)
	}
	if p.Since != "" {
		s = append(s, "since Asterisk "+p.Since)
	}
	if note := notes[action+"."+p.Name]; note != "" {
		s = append(s, note)
	}
	return strings.Join(s, "; ")
}

// declare returns the declaration of a field, with its comment behind it if that
// is short.
func declare(name, typ, doc string) string {
	switch {
	case doc == "":
		return fmt.Sprintf("\t%s %s\n", name, typ)
	case len(doc) <= 60:
		return fmt.Sprintf("\t%s %s // %s\n", name, typ, doc)
	default:
		doc = strings.ToUpper(doc[:1]) + doc[1:] + "."
		return fmt.Sprintf("%s\t%s %s\n", comment(doc, "\t"), name, typ)
	}
}

// valueDoc says what a field of a result holds.
func valueDoc(p catalog.Param) string {
	var s []string
	if len(p.Enum) > 0 {
		s = append(s, "one of "+strings.Join(p.Enum, ", "))
	} else if p.Format != "" && p.Type == "string" {
		s = append(s, p.Format)
	}
	if p.Since != "" {
		s = append(s, "since Asterisk "+p.Since)
	}
	return strings.Join(s, "; ")
}

// comment wraps text into lines of a comment, "" into none.
func comment(text, indent string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	line := indent + "//"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 80 {
			b.WriteString(line + "\n")
			line = indent + "//"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
