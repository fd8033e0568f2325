package amitest

// The lists of other modules, with little in them but in their real shapes.

// confbridgeList has the smallest ActionID buffer of all: 80 bytes
// (action_confbridgelist). The conference 1000 has two members.
func confbridgeList(c *Call) {
	switch c.Get("Conference") {
	case "":
		c.Error("No Conference name provided.")
		return
	case "1000":
	default:
		c.Error("No Conference by that name found.")
		return
	}
	c.ListStart("Confbridge user list will follow")
	members := []channel{
		{name: "Local/100@default-0000000c;1", uniqueid: "1795419381.24", linkedid: "1795419381.24"},
		{name: "Local/100@default-0000000e;1", uniqueid: "1795419381.27", linkedid: "1795419381.27", number: "4711"},
	}
	for _, m := range members {
		m.state, m.context, m.exten, m.priority = stateUp, "default", "100", 1
		fields := append(fieldsOf("Conference", "1000", "Admin", "No", "MarkedUser", "No", "WaitMarked", "No",
			"EndMarked", "No", "EndMarkedAny", "No", "Waiting", "No", "Muted", "No", "Talking", "No",
			"AnsweredTime", "10"), m.snapshot("")...)
		c.item("ConfbridgeList", 80, fields)
	}
	c.ListComplete("ConfbridgeListComplete", len(members))
}

// voicemailUsersList is a plain Success, as without users
// (manager_list_voicemail_users).
func voicemailUsersList(c *Call) {
	c.Success("There are no voicemail users currently defined.")
}

// iaxPeers is the one list whose items carry no ActionID
// (manager_iax2_show_peer_list).
func iaxPeers(c *Call) {
	c.ListStart("Peer status list will follow")
	for _, peer := range [][3]string{{"iaxa", "(null)", "(null)"}, {"iaxb", "127.0.0.1", "4599"}} {
		dynamic := "no"
		if peer[1] == "(null)" {
			dynamic = "yes"
		}
		b := appendHeader(nil, "Event", "PeerEntry")
		b = appendFields(b, fieldsOf("Channeltype", "IAX2", "ObjectName", peer[0], "ChanObjectType", "peer",
			"IPaddress", peer[1], "IPport", peer[2], "Dynamic", dynamic, "Trunk", "no", "Encryption", "no",
			"Status", "Unmonitored", "Description", ""))
		c.Raw(appendEnd(b))
	}
	c.ListComplete("PeerlistComplete", 2)
}

// iaxNetstats answers without a Response: only its table, which is empty
// (manager_iax2_show_netstats).
func iaxNetstats(c *Call) {
	c.session.srv.answered(c, "none", "")
	c.Raw(appendEnd(nil))
}

// showDialPlan knows the context hints. Of another it says Error after the
// list has begun, and no complete event follows (manager_show_dialplan).
func showDialPlan(c *Call) {
	c.ListStart("DialPlan list will follow")
	context := c.Get("Context")
	if context != "" && context != "hints" {
		c.Error("Did not find context " + context)
		return
	}
	hints := [][2]string{
		{"1001", "Custom:agent1001,CustomPresence:agent1001"},
		{"1002", "Custom:agent1002"},
		{"1003", "Custom:agent1003"},
		{"9999", "Local/100@default"},
	}
	for _, h := range hints {
		c.Event("ListDialplan", fieldsOf("Context", "hints", "Extension", h[0], "Priority", "hint",
			"Application", h[1], "Registrar", "pbx_config")...)
	}
	n := len(hints)
	c.ListComplete("ShowDialPlanComplete", n,
		number("ListExtensions", n), number("ListPriorities", n), number("ListContexts", 1))
}

func pjsipShowEndpoints(c *Call) {
	c.ListStart("A listing of Endpoints follows, presented as EndpointList events")
	names := []string{"2001", "2002", "2003"}
	for _, name := range names {
		c.Event("EndpointList", fieldsOf("ObjectType", "endpoint", "ObjectName", name,
			"Transport", "transport-udp", "Aor", name, "Auths", name, "OutboundAuths", "",
			"Contacts", name+"/sip:"+name+"@127.0.0.1:5060,", "DeviceState", "Not in use",
			"ActiveChannels", "0")...)
	}
	c.ListComplete("EndpointListComplete", len(names))
}
