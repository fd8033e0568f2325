package amitest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apn/ami/frame"
)

// action is one entry of the table of actions.
type action struct {
	name     string
	class    Class // any of them allows it; 0: everybody may
	synopsis string
	run      HandlerFunc
}

// builtin returns the actions that a new server knows, by lower-case name.
func builtin() map[string]action {
	const sysRep = ClassSystem | ClassReporting
	all := []action{
		{"Challenge", 0, "Generate Challenge for MD5 Auth.", challenge},
		{"Command", ClassCommand, "Execute Asterisk CLI Command.", command},
		{"ConfbridgeList", ClassReporting, "List participants in a conference.", confbridgeList},
		{"CoreSettings", sysRep, "Show PBX core settings (version etc).", coreSettings},
		{"CoreShowChannels", sysRep, "List currently active channels.", coreShowChannels},
		{"CoreStatus", sysRep, "Show PBX core status variables.", coreStatus},
		{"DBDel", ClassSystem, "Delete DB entry.", dbDel},
		{"DBDelTree", ClassSystem, "Delete DB Tree.", dbDelTree},
		{"DBGet", sysRep, "Get DB Entry.", dbGet},
		{"DBGetTree", sysRep, "Get DB entries, optionally at a particular family/key", dbGetTree},
		{"DBPut", ClassSystem, "Put DB entry.", dbPut},
		{"Events", 0, "Control Event Flow.", eventsAction},
		{"Filter", ClassSystem, "Dynamically add filters for the current manager session.", filterAction},
		{"Getvar", ClassCall | ClassReporting, "Gets a channel variable or function value.", getvar},
		{"Hangup", ClassSystem | ClassCall, "Hangup channel.", hangup},
		{"IAXnetstats", sysRep, "Show IAX Netstats.", iaxNetstats},
		{"IAXpeers", sysRep, "List IAX peers.", iaxPeers},
		{"ListCommands", 0, "List available manager commands.", listCommands},
		{"Login", 0, "Login Manager.", login},
		{"Logoff", 0, "Logoff Manager.", logoff},
		{"Originate", ClassOriginate, "Originate a call.", originate},
		{"Ping", 0, "Keepalive command.", ping},
		{"PJSIPShowEndpoints", ClassSystem, "Lists PJSIP endpoints.", pjsipShowEndpoints},
		{"QueueAdd", ClassAgent, "Add interface to queue.", queueAdd},
		{"QueuePause", ClassAgent, "Makes a queue member temporarily unavailable.", queuePause},
		{"QueueRemove", ClassAgent, "Remove interface from queue.", queueRemove},
		{"QueueStatus", 0, "Show queue status.", queueStatus},
		{"QueueSummary", 0, "Show queue summary.", queueSummary},
		{"Redirect", ClassCall, "Redirect (transfer) a call.", redirect},
		{"Setvar", ClassCall, "Sets a channel variable or function value.", setvar},
		{"ShowDialPlan", ClassConfig | ClassReporting, "Show dialplan contexts and extensions", showDialPlan},
		{"Status", ClassSystem | ClassCall | ClassReporting, "List channel status.", status},
		{"UserEvent", ClassUser, "Send an arbitrary event.", userEvent},
		{"VoicemailUsersList", ClassCall | ClassReporting, "List All Voicemail User Information.", voicemailUsersList},
		{"WaitEvent", 0, "Wait for an event to occur.", waitEvent},
	}
	m := make(map[string]action, len(all))
	for _, a := range all {
		m[strings.ToLower(a.name)] = a
	}
	return m
}

func ping(c *Call) {
	c.Respond(F("Ping", "Pong"), F("Timestamp", timestamp(time.Now())))
}

func listCommands(c *Call) {
	srv := c.session.srv
	srv.mu.Lock()
	all := slices.SortedFunc(maps.Values(srv.actions), func(a, b action) int {
		return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name))
	})
	srv.mu.Unlock()
	fields := make([]frame.Field, len(all))
	for i, a := range all {
		fields[i] = F(a.name, fmt.Sprintf("%s  (Priv: %s)", a.synopsis, a.class))
	}
	c.Respond(fields...)
}

// coreSettings has an ActionID buffer of 150 bytes, as coreStatus.
func coreSettings(c *Call) {
	cfg := &c.session.srv.cfg
	c.plain(150,
		F("AMIversion", cfg.amiVersion), F("AsteriskVersion", cfg.version), F("SystemName", cfg.systemName),
		F("CoreMaxCalls", "0"), F("CoreMaxLoadAvg", "0.000000"), F("CoreRunUser", ""), F("CoreRunGroup", ""),
		F("CoreMaxFilehandles", "65536"), F("CoreRealTimeEnabled", "No"), F("CoreCDRenabled", "Yes"),
		F("CoreHTTPenabled", "No"), F("SoundsSearchCustomDir", "No"))
}

func coreStatus(c *Call) {
	srv := c.session.srv
	_, uptime := srv.boot()
	started := time.Now().Add(-uptime)
	date, clock := started.Format("2006-01-02"), started.Format("15:04:05")
	srv.pbx.mu.Lock()
	current, processed := len(srv.pbx.channels), srv.pbx.processed
	srv.pbx.mu.Unlock()
	c.plain(150,
		F("CoreStartupDate", date), F("CoreStartupTime", clock),
		F("CoreReloadDate", date), F("CoreReloadTime", clock),
		number("CoreCurrentCalls", current), number("CoreProcessedCalls", processed))
}

// plain answers Success through an ActionID buffer of the given size.
func (c *Call) plain(buffer int, fields ...frame.Field) {
	b := append([]byte("Response: Success\r\n"), c.idText(buffer)...)
	c.session.srv.answered(c, "Success", "")
	c.Raw(appendEnd(appendFields(b, fields)))
}
