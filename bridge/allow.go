package bridge

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/apn/ami/action"
	"github.com/apn/ami/frame"
)

// Names of Allow that are no nodes.
const (
	AnyNode  = "any" // requests that name no node
	AllNodes = "*"   // all requests for which there is no list of their own
)

// Allow says which actions requests may ask for: for each node by its key, for
// AnyNode, for AllNodes. What has no list may do what AllNodes may; without that
// too, nothing. A request that names a node in its JSON is one for that node.
//
// An entry is the name of an action, whatever the case, with "*" for any
// characters, "?" for one, and ranges as in path.Match. "Queue*" lets through all
// actions of queues, "*" nearly all: those that act on the session itself, which
// all requests share (Login, Logoff, Challenge, Events, Filter, WaitEvent), and
// those that Asterisk 18 to 23 do not have are let through only by an entry that
// is their whole name.
type Allow map[string][]string

// ReadOnly returns the actions that requests may ask for by default: those that
// change nothing and whose answers hold no password.
func ReadOnly() []string { return slices.Clone(readOnly) }

// Left out although they change nothing: PJSIPShowAuths, PJSIPShowEndpoint,
// PJSIPShowRegistrationsOutbound and GetConfig tell passwords, Getvar runs
// functions of the dialplan, DBGet and ShowDialPlan show what may be secret.
var readOnly = []string{
	"Agents", "BridgeInfo", "BridgeList", "BridgeTechnologyList", "ConfbridgeList", "ConfbridgeListRooms",
	"CoreSettings", "CoreShowChannelMap", "CoreShowChannels", "CoreStatus", "DAHDIShowChannels", "DAHDIShowStatus",
	"DeviceStateList", "ExtensionState", "ExtensionStateList", "FAXSession", "FAXSessions", "FAXStats",
	"IAXnetstats", "IAXpeerlist", "IAXpeers", "IAXregistry", "ListCommands", "MailboxCount", "MailboxStatus",
	"MeetmeList", "MeetmeListRooms", "ModuleCheck", "MWIGet", "ParkedCalls", "Parkinglots", "Ping",
	"PJSIPShowAors", "PJSIPShowContacts", "PJSIPShowEndpoints", "PJSIPShowRegistrationInboundContactStatuses",
	"PJSIPShowRegistrationsInbound", "PresenceState", "PresenceStateList", "PRIShowSpans",
	"QueueRule", "QueueStatus", "QueueSummary", "SIPpeers", "SIPpeerstatus", "SIPshowpeer",
	"SIPshowregistry", "SKINNYdevices", "SKINNYlines", "SKINNYshowdevice", "SKINNYshowline", "Status",
}

// ofSession are actions that change what the session is to all who share it.
var ofSession = []string{"login", "logoff", "challenge", "events", "filter", "waitevent"}

// A rule is one list of an Allow.
type rule struct {
	exact    map[string]bool // in lower case
	patterns []string        // in lower case
}

// rules makes them of an Allow; of nil those of ReadOnly.
func (a Allow) rules() (map[string]*rule, error) {
	if a == nil {
		a = Allow{AllNodes: readOnly}
	}
	rules := make(map[string]*rule, len(a))
	for key, names := range a {
		r := &rule{exact: make(map[string]bool)}
		for _, name := range names {
			name = strings.ToLower(strings.TrimSpace(name))
			switch _, err := path.Match(name, ""); {
			case name == "":
				return nil, &OptionError{Option: "Allow", Value: key, Reason: "has an empty entry"}
			case err != nil:
				return nil, &OptionError{Option: "Allow", Value: name, Reason: fmt.Sprintf("is no pattern for names of actions: %v", err)}
			case strings.ContainsAny(name, `*?[\`):
				r.patterns = append(r.patterns, name)
			default:
				r.exact[name] = true
			}
		}
		rules[key] = r
	}
	return rules, nil
}

// unheard returns, by list, what is let through by its whole name and is no action
// of Asterisk: it is misspelt, or comes with a module of the user's own.
func (a Allow) unheard() map[string][]string {
	found := make(map[string][]string)
	for key, names := range a {
		for _, name := range names {
			name = strings.TrimSpace(name)
			if _, known := action.Lookup(name); !known && !strings.ContainsAny(name, `*?[\`) {
				found[key] = append(found[key], name)
			}
		}
	}
	return found
}

// allowed reports whether an action may be sent to a node, "" for any of them.
func (a *ask) allowed(rules map[string]*rule, node string) error {
	name := a.action
	permitted, known := permits(rules, node, name)
	if permitted && a.readsVariables() {
		name = "Getvar"
		permitted, _ = permits(rules, node, name)
	}
	switch {
	case permitted:
		return nil
	case !known:
		return &askError{code: codeUnknownAction, text: fmt.Sprintf("no Asterisk from 18 to 23 has the action %q", clip(name))}
	}
	return &askError{code: codeNotAllowed, text: fmt.Sprintf("the action %s is not allowed here", name)}
}

// readsVariables reports whether the action is a Status that reads variables and
// functions of channels, which may do and tell as much as those of Getvar.
func (a *ask) readsVariables() bool {
	return strings.EqualFold(a.action, "Status") && slices.ContainsFunc(a.headers, func(f frame.Field) bool {
		return sameName(f.Key, "Variables") || sameName(f.Key, "AllVariables")
	})
}

// permits reports whether an action may be sent to a node, "" for any of them,
// and whether Asterisk is known to have it. An action that is not known is
// permitted only by its whole name.
func permits(rules map[string]*rule, node, name string) (permitted, known bool) {
	key := node
	if key == "" {
		key = AnyNode
	}
	r, ok := rules[key]
	if !ok {
		r = rules[AllNodes]
	}
	_, known = action.Lookup(name)
	if r == nil {
		return false, known
	}
	name = strings.ToLower(name)
	if r.exact[name] {
		return true, known
	}
	if !known || slices.Contains(ofSession, name) {
		return false, known
	}
	return slices.ContainsFunc(r.patterns, func(p string) bool {
		ok, _ := path.Match(p, name) // checked by rules
		return ok
	}), known
}
