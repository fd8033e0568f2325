package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// A kind is an enum: a Go type with constants.
type kind struct {
	goName string
	doc    string
	from   []string // lists in the catalogue
	text   bool     // a string, not a number
	values []value
}

type value struct {
	goName string
	number int
	names  []string // in Asterisk; the first is what String returns
}

// newKinds returns the enums of package event.
func newKinds(c *catalog.Catalog) ([]kind, error) {
	kinds := []kind{
		{goName: "AMAFlags", from: []string{"ama_flags"}, text: true, doc: "is what a call is recorded for (automatic message accounting)."},
		{goName: "AgentStatus", from: []string{"agent_status"}, text: true, doc: "is what an agent of app_agent_pool does."},
		{goName: "BridgeVideoMode", from: []string{"bridge_video_mode"}, text: true, doc: "is how a bridge chooses whose video it shows."},
		{goName: "CDRDisposition", from: []string{"cdr_disposition"}, text: true, doc: "is how the call of a call detail record ended."},
		{goName: "ChannelState", from: []string{"channel_state"}, doc: "is the state of a channel."},
		{goName: "ContactState", from: []string{"contact_status"}, text: true, doc: "tells whether a contact of a PJSIP endpoint can be reached."},
		{goName: "DeviceState", from: []string{"device_state"}, doc: "is what a device does, or a member of a queue."},
		{goName: "DialStatus", from: []string{"dial_status_end", "dial_status_state"}, text: true, doc: "is how dialling went, or how far it is."},
		{goName: "ExtensionState", from: []string{"extension_state"}, doc: "is the state of the devices of a hint, taken together."},
		{goName: "HangupCause", from: []string{"hangup_cause"}, doc: "is why a channel ended: the causes of Q.850 and some of Asterisk's own."},
		{goName: "ModuleStatus", from: []string{"module_load_status"}, text: true, doc: "is how loading or unloading a module went."},
		{goName: "OriginateReason", from: []string{"originate_reason"}, doc: "is how an Originate ended."},
		{goName: "PresenceState", from: []string{"presence_state"}, text: true, doc: "is what a person does, as far as Asterisk was told."},
		{goName: "ReloadResult", from: []string{"reload_result"}, doc: "is how a reload went."},
	}
	for i := range kinds {
		k := &kinds[i]
		for _, list := range k.from {
			if err := k.read(c.Enums[list]); err != nil {
				return nil, fmt.Errorf("enum %s: %w", list, err)
			}
		}
	}
	return kinds, nil
}

func (m *model) kindOf(list string) *kind {
	for i := range m.kinds {
		if slices.Contains(m.kinds[i].from, list) {
			return &m.kinds[i]
		}
	}
	return nil
}

func (m *model) kindNamed(goName string) *kind {
	for i := range m.kinds {
		if m.kinds[i].goName == goName {
			return &m.kinds[i]
		}
	}
	return nil
}

// read takes a list of the catalogue: texts, or numbers with a text, two texts
// or a name and a text.
func (k *kind) read(raw json.RawMessage) error {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		for i, s := range list {
			k.add(i, s)
		}
		return nil
	}
	var numbers map[string]json.RawMessage
	if err := json.Unmarshal(raw, &numbers); err != nil {
		return err
	}
	first := len(k.values)
	for n, raw := range numbers {
		number, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		var s string
		var both []string
		var named struct{ Name, Text string }
		switch {
		case json.Unmarshal(raw, &s) == nil:
			s, _, _ = strings.Cut(s, " (") // an explanation
			k.add(number, s)
		case json.Unmarshal(raw, &both) == nil:
			k.add(number, both...)
		case json.Unmarshal(raw, &named) == nil:
			k.add(number, named.Text)
			k.values[len(k.values)-1].goName = k.goName + camel(named.Name)
		default:
			return fmt.Errorf("%s is not understood", raw)
		}
	}
	slices.SortFunc(k.values[first:], func(a, b value) int { return a.number - b.number })
	return nil
}

func (k *kind) add(number int, names ...string) {
	k.values = append(k.values, value{goName: k.goName + camel(names[0]), number: number, names: names})
}

// words are those that Asterisk writes as one or cuts short.
var words = map[string]string{
	"AGENT": "", "BEARERCAPABILITY": "BearerCapability", "CHANUNAVAIL": "ChanUnavailable", "IE": "IE", "INUSE": "InUse",
	"LOGGEDOFF": "LoggedOff", "NOANSWER": "NoAnswer", "NONEXIST": "NonExistent", "NOTAUTH": "NotAuthorized",
	"NOTAVAIL": "NotAvailable", "NOTDEFINED": "NotDefined", "NOTIMPL": "NotImplemented", "Offhook": "OffHook",
	"ONCALL": "OnCall", "ONHOLD": "OnHold", "RINGINUSE": "RingInUse", "Rsrvd": "Reserved", "UNAVAIL": "Unavailable",
	"dnd": "DoNotDisturb", "xa": "ExtendedAway",
}

// camel returns a name of Asterisk as Go writes it.
func camel(s string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" _-&/", r) }) {
		if as, ok := words[w]; ok {
			b.WriteString(as)
			continue
		}
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}

// enums returns the file of the enums.
func (m *model) enums() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\npackage event\n\nimport \"strconv\"\n", header)
	for _, k := range m.kinds {
		k.print(&b)
	}
	return b.String()
}

func (k *kind) print(b *strings.Builder) {
	base := "int"
	if k.text {
		base = "string"
	}
	fmt.Fprintf(b, "\n%s\ntype %s %s\n", comment("", k.goName+" "+k.doc), k.goName, base)
	fmt.Fprintf(b, "\n// The values of %s that the catalogue knows.\nconst (\n", k.goName)
	for _, v := range k.values {
		if k.text {
			fmt.Fprintf(b, "\t%s %s = %q\n", v.goName, k.goName, v.names[0])
		} else {
			fmt.Fprintf(b, "\t%s %s = %d // %s\n", v.goName, k.goName, v.number, v.names[0])
		}
	}
	fmt.Fprintf(b, ")\n\n")
	if k.text {
		fmt.Fprintf(b, "// String returns the value as Asterisk writes it.\nfunc (v %[1]s) String() string { return string(v) }\n", k.goName)
		return
	}
	fmt.Fprintf(b, "// String returns the value in Asterisk's words, and a number that it has no word for as \"%[1]s(300)\".\n", k.goName)
	fmt.Fprintf(b, "func (v %s) String() string {\n\tswitch v {\n", k.goName)
	for _, v := range k.values {
		fmt.Fprintf(b, "\tcase %s:\n\t\treturn %q\n", v.goName, v.names[0])
	}
	fmt.Fprintf(b, "\tdefault:\n\t\treturn \"%s(\" + strconv.Itoa(int(v)) + \")\"\n\t}\n}\n", k.goName)
	if k.goName != "DeviceState" {
		return
	}
	fmt.Fprintf(b, "\n// deviceState takes a number or one of the two names that each state has.\nfunc (d *decoder) deviceState() DeviceState {\n\tswitch d.value {\n")
	for _, v := range k.values {
		fmt.Fprintf(b, "\tcase ")
		for i, n := range v.names {
			if i > 0 {
				fmt.Fprintf(b, ", ")
			}
			fmt.Fprintf(b, "%q", n)
		}
		fmt.Fprintf(b, ":\n\t\treturn %s\n", v.goName)
	}
	fmt.Fprintf(b, "\tdefault:\n\t\treturn DeviceState(d.number())\n\t}\n}\n")
}
