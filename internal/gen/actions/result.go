package main

import (
	"fmt"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// resultOf returns the type of an action's result, the body of Decode, and the
// declaration of the type if it has one of its own.
func resultOf(a catalog.Action) (result, decode, extra string, err error) {
	if t := resultByHand[a.Name]; t != "" {
		return t, "", "", nil
	}
	if key := oneHeader[a.Name]; key != "" {
		return "string", fmt.Sprintf("return a.Response.Get(%q)\n", key), "", nil
	}
	switch {
	case a.Completion == "response+event":
		t := "event." + catalog.GoName(replyEvent(a))
		return t, fmt.Sprintf("return one[%s](a)\n", t), "", nil
	case a.List != nil && len(a.List.Items) == 1:
		t := "event." + catalog.GoName(a.List.Items[0])
		return "[]" + t, fmt.Sprintf("return items[%s](a)\n", t), "", nil
	case a.List != nil:
		result, decode, extra, err = parts(a)
		return result, decode, extra, err
	case len(a.Responses.Fields) > 0:
		result, decode, extra, err = response(a)
		return result, decode, extra, err
	default:
		return "Success", "return Success{a}\n", "", nil
	}
}

// parts is the result of a list whose items are of several kinds.
func parts(a catalog.Action) (result, decode, extra string, err error) {
	result = a.Name + "Result"
	var f, d strings.Builder
	for _, item := range a.List.Items {
		field := listFields[item]
		if field == "" {
			return "", "", "", fmt.Errorf("item %s has no field: see tables.go", item)
		}
		t := "event." + catalog.GoName(item)
		fmt.Fprintf(&f, "\t%s []%s\n", field, t)
		fmt.Fprintf(&d, "%s: items[%s](a),\n", field, t)
	}
	extra = fmt.Sprintf("// %s is the answer to %s: its items by kind, each in Asterisk's order.\ntype %s struct {\n\tAnswer\n\n%s}\n\n",
		result, a.Name, result, f.String())
	return result, fmt.Sprintf("return %s{\nAnswer: a,\n%s}\n", result, d.String()), extra, nil
}

// response is the result that the headers of a Response make.
func response(a catalog.Action) (result, decode, extra string, err error) {
	result = a.Name + "Result"
	var f, d strings.Builder
	for _, p := range a.Responses.Fields {
		if p.Name == "Message" { // a method of Answer
			continue
		}
		typ, expr, err := value(p)
		if err != nil {
			return "", "", "", err
		}
		f.WriteString(declare(paramName(p), typ, valueDoc(p)))
		target := "r." + paramName(p)
		if expr == "at" { // Event knows how to read it
			fmt.Fprintf(&d, "%s, _ = event.Event{Frame: a.Response}.Timestamp()\n", target)
			continue
		}
		fmt.Fprintf(&d, "%s = %s\n", target, expr)
	}
	extra = fmt.Sprintf("// %s is the answer to %s.\ntype %s struct {\n\tAnswer\n\n%s}\n\n", result, a.Name, result, f.String())
	return result, fmt.Sprintf("r := %s{Answer: a}\n%sreturn r\n", result, d.String()), extra, nil
}

// value returns the Go type of a header of a Response and how it is read.
func value(p catalog.Param) (typ, expr string, err error) {
	switch {
	case p.Repeatable && p.Name == "ChanVariable":
		return "[]event.Variable", fmt.Sprintf("r.pairs(%q)", p.Name), nil
	case p.Repeatable:
		return "[]string", fmt.Sprintf("r.Response.Values(%q)", p.Name), nil
	case p.EnumRef == "extension_state":
		return "event.ExtensionState", fmt.Sprintf("event.ExtensionState(r.number(%q))", p.Name), nil
	case p.EnumRef == "presence_state":
		return "event.PresenceState", fmt.Sprintf("event.PresenceState(r.Response.Get(%q))", p.Name), nil
	}
	switch p.Type {
	case "string", "channel":
		return "string", fmt.Sprintf("r.Response.Get(%q)", p.Name), nil
	case "int":
		return "int", fmt.Sprintf("r.number(%q)", p.Name), nil
	case "float":
		return "float64", fmt.Sprintf("r.float(%q)", p.Name), nil
	case "bool":
		return "bool", fmt.Sprintf("r.yes(%q)", p.Name), nil
	case "timestamp":
		if p.Name != "Timestamp" {
			return "", "", fmt.Errorf("%s is a time and not Timestamp", p.Name)
		}
		return "time.Time", "at", nil
	default:
		return "", "", fmt.Errorf("%s has the unknown type %q", p.Name, p.Type)
	}
}
