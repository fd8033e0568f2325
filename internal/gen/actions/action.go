package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// writeAction writes struct and methods of one action.
func writeAction(b *bytes.Buffer, a catalog.Action) error {
	result, decode, extra, err := resultOf(a)
	if err != nil {
		return err
	}
	doc, err := docOf(a)
	if err != nil {
		return err
	}
	b.WriteString(doc)
	fields, appends, err := params(a)
	if err != nil {
		return err
	}
	receiver := a.Name
	if fields == "" {
		fmt.Fprintf(b, "type %s struct{}\n\n", a.Name)
	} else {
		fmt.Fprintf(b, "type %s struct {\n%s}\n\n", a.Name, fields)
		receiver = "a " + a.Name
	}
	fmt.Fprintf(b, "// Name implements Action.\nfunc (%s) Name() string { return %q }\n\n", a.Name, a.Name)
	b.WriteString("// AppendFields implements Action.\n")
	if appends == "" {
		fmt.Fprintf(b, "func (%s) AppendFields(dst []frame.Field) ([]frame.Field, error) { return dst, nil }\n\n", a.Name)
	} else {
		fmt.Fprintf(b, "func (%s) AppendFields(dst []frame.Field) ([]frame.Field, error) {\nf := fields{action: %q, dst: dst}\n%sreturn f.done()\n}\n\n", receiver, a.Name, appends)
	}
	fmt.Fprintf(b, "// Strategy implements Action.\nfunc (%s) Strategy() strategy.Strategy { return %s }\n\n", a.Name, strategyOf(a))
	if decode != "" {
		fmt.Fprintf(b, "// Decode implements Typed.\nfunc (%s) Decode(a Answer) %s {\n%s}\n\n", a.Name, result, decode)
	}
	b.WriteString(extra)
	if p := private[a.Name]; p != nil {
		return hide(b, a, p)
	}
	return nil
}

// hide keeps printing and marshalling from showing some parameters.
func hide(b *bytes.Buffer, a catalog.Action, private []string) error {
	var verbs, args []string
	for _, p := range a.Params {
		if p.AliasOf != "" || p.DocOnly {
			continue
		}
		if slices.Contains(private, p.Name) {
			verbs, args = append(verbs, p.Name+"=%s"), append(args, "redacted")
			continue
		}
		typ, _, err := param(p)
		if err != nil {
			return err
		}
		verb := "%v"
		if typ == "string" {
			verb = "%q"
		}
		verbs, args = append(verbs, p.Name+"="+verb), append(args, "a."+paramName(p))
	}
	fmt.Fprintf(b, "// String returns the parameters, and a mark in place of %s.\nfunc (a %s) String() string {\nreturn fmt.Sprintf(%q, %s)\n}\n\n",
		strings.Join(private, " and "), a.Name, a.Name+" "+strings.Join(verbs, " "), strings.Join(args, ", "))
	fmt.Fprintf(b, "// Format makes every verb print what String returns.\nfunc (a %s) Format(s fmt.State, _ rune) {\n_, _ = io.WriteString(s, a.String()) // a fmt.State has nowhere to report to\n}\n\n", a.Name)
	fmt.Fprintf(b, "// MarshalText returns what String returns, for JSON and slog.\nfunc (a %s) MarshalText() ([]byte, error) { return []byte(a.String()), nil }\n\n", a.Name)
	return nil
}

// params returns the fields of the struct and the statements that append them.
func params(a catalog.Action) (fields, appends string, err error) {
	var f, s strings.Builder
	sorted := slices.Clone(a.Params)
	// Required ones first: that is the order of reading, and for Asterisk there
	// is none.
	slices.SortStableFunc(sorted, func(x, y catalog.Param) int {
		switch {
		case x.Required == y.Required:
			return 0
		case x.Required:
			return -1
		default:
			return 1
		}
	})
	for _, p := range sorted {
		if p.AliasOf != "" || p.DocOnly {
			continue
		}
		typ, stmt, err := param(p)
		if err != nil {
			return "", "", err
		}
		f.WriteString(declare(paramName(p), typ, paramDoc(a.Name, p)))
		s.WriteString(stmt)
	}
	return f.String(), s.String(), nil
}

// param returns the Go type of a parameter and the statement that appends it.
func param(p catalog.Param) (typ, stmt string, err error) {
	field, key := "a."+paramName(p), p.Name
	how := "optional"
	if p.Required {
		how = "required"
	}
	switch {
	case key == "Variable" && p.Repeatable:
		if p.Required {
			return "[]Variable", fmt.Sprintf("f.someVariables(%s)\n", field), nil
		}
		return "[]Variable", fmt.Sprintf("f.variables(%s)\n", field), nil
	case p.Repeatable:
		return "", "", fmt.Errorf("%s repeats: write the action by hand", key)
	case p.EnumRef == "hangup_cause":
		return "event.HangupCause", fmt.Sprintf("f.cause(%s)\n", field), nil
	case len(p.Enum) > 0 && !strings.Contains(p.Format, "integer"):
		return "string", fmt.Sprintf("f.%sOneOf(%q, %s, %s)\n", how, key, field, quoted(p.Enum)), nil
	}
	switch p.Type {
	case "string", "channel":
		if p.MaxLen > 0 {
			return "", "", fmt.Errorf("%s has a limit: write the action by hand", key)
		}
		return "string", fmt.Sprintf("f.%s(%q, %s)\n", how, key, field), nil
	case "int":
		return "int", fmt.Sprintf("f.%sNumber(%q, %s)\n", how, key, field), nil
	case "bool":
		yes, no := "1", "0" // what ast_true takes, and atoi as well: MixMonitorMute has that
		switch p.Format {
		case "true/false":
			yes, no = "true", "false"
		case "yes/no":
			yes, no = "yes", "no"
		case "on/off":
			yes, no = "on", "off"
		}
		if p.Required {
			return "bool", fmt.Sprintf("f.requiredFlag(%q, %s, %q, %q)\n", key, field, yes, no), nil
		}
		return "bool", fmt.Sprintf("f.optionalFlag(%q, %s, %q)\n", key, field, yes), nil
	case "duration":
		unit := map[string]string{"ms": "time.Millisecond", "s": "time.Second"}[p.Unit]
		if p.Format == "float seconds" {
			return "time.Duration", fmt.Sprintf("f.%sSeconds(%q, %s)\n", how, key, field), nil
		}
		return "time.Duration", fmt.Sprintf("f.%sDuration(%q, %s, %s)\n", how, key, field, unit), nil
	default:
		return "", "", fmt.Errorf("%s has the unknown type %q", key, p.Type)
	}
}

// paramName is the name of the field for a parameter.
func paramName(p catalog.Param) string {
	if p.Repeatable {
		return fieldName(p.Name) + "s"
	}
	return fieldName(p.Name)
}

// fieldName is the header's name as Go spells it.
func fieldName(key string) string {
	name := catalog.GoName(key)
	if s, ok := strings.CutSuffix(name, "Id"); ok {
		return s + "ID"
	}
	return name
}

func quoted(list []string) string {
	var s []string
	for _, e := range list {
		s = append(s, fmt.Sprintf("%q", e))
	}
	return strings.Join(s, ", ")
}

// strategyOf returns the expression for the action's strategy.
func strategyOf(a catalog.Action) string {
	var more []string
	kind := "Single"
	switch {
	case a.Completion == "none":
		kind = "Bare"
	case a.Completion == "command":
		kind = "Command"
	case a.Completion == "response-or-list" && a.List.OnlyWhen != "":
		return "strategy.Strategy{}" // Auto: the Response says whether a list follows
	case a.Completion == "response+event":
		kind = "List"
		more = append(more, fmt.Sprintf("Terminal: []string{%q}", replyEvent(a)), "Unannounced: true")
	case a.List != nil:
		kind = "List"
		more = append(more, fmt.Sprintf("Terminal: []string{%q}", a.List.Complete))
		if a.List.ErrorAfterStart == "non-terminal" {
			more = append(more, "ErrorGoesOn: true")
		}
	}
	if a.List != nil && a.List.BrokenFraming {
		more = append(more, "Merged: true")
	}
	if items := broadcasts[a.Name]; items != nil {
		more = append(more, fmt.Sprintf("Items: []string{%s}", quoted(items)))
	}
	if items := noActionID[a.Name]; items != nil {
		more = append(more, fmt.Sprintf("NoActionID: []string{%s}", quoted(items)))
	}
	if messages := empty[a.Name]; messages != nil {
		more = append(more, fmt.Sprintf("Empty: []string{%s}", quoted(messages)))
	}
	if n := responses[a.Name]; n > 0 {
		more = append(more, fmt.Sprintf("Responses: %d", n))
	}
	if len(more) == 1 && strings.HasPrefix(more[0], "Terminal") {
		return fmt.Sprintf("strategy.ListOf(%q)", a.List.Complete)
	}
	return fmt.Sprintf("strategy.Strategy{%s}", strings.Join(append([]string{"Kind: strategy." + kind}, more...), ", "))
}

// replyEvent is the one event that answers FAXSession and FAXStats.
func replyEvent(a catalog.Action) string { return a.Name }
