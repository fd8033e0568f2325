package main

// byHand are the actions whose struct and methods are written by hand, with
// where. Lookup and the tables of the documentation have them all the same.
var byHand = map[string]string{
	"AOCMessage":   "aoc.go",
	"Challenge":    "login.go",
	"Login":        "login.go",
	"Logoff":       "login.go",
	"Originate":    "originate.go",
	"Setvar":       "setvar.go",
	"UpdateConfig": "updateconfig.go",
	"UserEvent":    "userevent.go",
	"WaitEvent":    "waitevent.go",
}

// resultByHand are those whose result is: name → Go type. The method Decode is
// generated if the value is a type of one header (see oneHeader), else it stands
// in results.go.
var resultByHand = map[string]string{
	"BridgeInfo":       "BridgeInfoResult",
	"Command":          "CommandResult",
	"GetConfig":        "GetConfigResult",
	"IAXnetstats":      "[]string",
	"ListCategories":   "[]string",
	"ListCommands":     "[]CommandFacts",
	"QueueRule":        "[]QueueRuleList",
	"SKINNYdevices":    "[]event.DeviceEntry",
	"SKINNYlines":      "[]event.LineEntry",
	"SKINNYshowdevice": "SKINNYResult",
	"SKINNYshowline":   "SKINNYResult",
}

// oneHeader are the actions whose result is the value of one header.
var oneHeader = map[string]string{"Getvar": "Value", "GetConfigJSON": "JSON"}

// files says into which file what a module has goes. The actions of the core are
// spread by their source, those of the manager itself by name.
var files = map[string]string{
	"app_agent_pool": "agents", "app_confbridge": "confbridge", "app_controlplayback": "channels",
	"app_meetme": "meetme", "app_mf": "dtmf", "app_senddtmf": "dtmf", "app_mixmonitor": "monitor",
	"res_monitor": "monitor", "app_queue": "queue", "app_voicemail": "voicemail", "chan_dahdi": "dahdi",
	"chan_iax2": "iax2", "chan_sip": "sip", "chan_skinny": "skinny", "chan_pjsip": "pjsip",
	"pbx_config": "dialplan", "res_agi": "agi", "res_fax": "fax", "res_manager_devicestate": "states",
	"res_manager_presencestate": "states", "res_mutestream": "channels", "res_mwi_external_ami": "mwi",
	"res_parking": "parking", "res_pjsip": "pjsip", "res_pjsip_maintenance": "pjsip", "res_pjsip_notify": "pjsip",
	"res_pjsip_outbound_registration": "pjsip", "res_pjsip_pubsub": "pjsip", "res_pjsip_registrar": "pjsip",
	"res_sorcery_memory_cache": "sorcery", "res_xmpp": "xmpp",

	"main/bridge.c": "bridges", "main/features.c": "bridges", "main/manager_bridges.c": "bridges",
	"main/core_local.c": "channels", "main/db.c": "database", "main/message.c": "messages",

	"AbsoluteTimeout": "channels", "Atxfer": "channels", "BlindTransfer": "channels", "CancelAtxfer": "channels",
	"CoreShowChannelMap": "channels", "CoreShowChannels": "channels", "Getvar": "channels", "Hangup": "channels",
	"Redirect": "channels", "Status": "channels", "SendText": "messages",
	"CreateConfig": "config", "GetConfig": "config", "GetConfigJSON": "config", "ListCategories": "config",
	"Ping": "session", "Events": "session", "Filter": "session", "ListCommands": "session",
	"CoreSettings": "core", "CoreStatus": "core", "Command": "core", "LoggerRotate": "core", "ModuleCheck": "core",
	"ModuleLoad": "core", "Reload": "core",
	"ExtensionState": "states", "PresenceState": "states", "ExtensionStateList": "states", "ShowDialPlan": "dialplan",
	"MailboxCount": "mwi", "MailboxStatus": "mwi",
}

// listFields name the parts of a list that has items of several kinds.
var listFields = map[string]string{
	"QueueParams": "Params", "QueueMember": "Members", "QueueEntry": "Entries",
	"EndpointDetail": "Endpoints", "IdentifyDetail": "Identifies", "ContactStatusDetail": "Contacts",
	"AuthDetail": "Auths", "TransportDetail": "Transports", "AorDetail": "Aors",
	"OutboundRegistrationDetail": "Registrations",
}

// empty are the Messages by which an Error says that a list is empty, with the
// function that sends them.
var empty = map[string][]string{
	"ConfbridgeList":         {"No active conferences.", "No Conference by that name found."}, // apps/app_confbridge.c:action_confbridgelist
	"ConfbridgeListRooms":    {"No active conferences."},                                      // action_confbridgelistrooms
	"DBGet":                  {"Database entry not found"},                                    // main/db.c:manager_dbget
	"MeetmeList":             {"No active conferences."},                                      // apps/app_meetme.c:action_meetmelist
	"MeetmeListRooms":        {"No active conferences."},                                      // action_meetmelistrooms
	"PJSIPShowAors":          {"No Aors found"},                                               // res/res_pjsip/location.c:ami_show_aors
	"PJSIPShowAuths":         {"No Auths found"},                                              // config_auth.c:ami_show_auths
	"PJSIPShowContacts":      {"No Contacts found"},                                           // pjsip_options.c:ami_show_contacts
	"PJSIPShowEndpoints":     {"No endpoints found"},                                          // pjsip_configuration.c:ami_show_endpoints
	"PJSIPShowResourceLists": {"No resource lists found"},                                     // res/res_pjsip_pubsub.c:ami_show_resource_lists
}

// noActionID are items that come without the ActionID (recording 3-iaxpeers).
var noActionID = map[string][]string{"IAXpeers": {"PeerEntry"}}

// broadcasts are items that carry a Privilege header (recordings 3-status,
// 9-v18-sip-lists).
var broadcasts = map[string][]string{"Status": {"Status"}, "SIPpeerstatus": {"PeerStatus"}}

// responses is how many an action gets (res/res_xmpp.c:manager_jabber_send).
var responses = map[string]int{"JabberSend": 2}

// notes say what the catalogue does not about a parameter.
var notes = map[string]string{
	"Getvar.Channel":                 "empty: a global variable",
	"QueueStatus.Queue":              "empty: all",
	"QueueStatus.Member":             "empty: all",
	"QueueSummary.Queue":             "empty: all",
	"QueuePause.Queue":               "empty: all",
	"QueuePenalty.Queue":             "empty: all",
	"QueueRule.Rule":                 "empty: all",
	"Status.Channel":                 "empty: all",
	"Hangup.Cause":                   "1 to 127; 0: Asterisk's choice",
	"Events.EventMask":               "Asterisk takes an unknown class for off",
	"ParkedCalls.ParkingLot":         "empty: all",
	"BridgeList.BridgeType":          "empty: all",
	"PRIShowSpans.Span":              "0: all",
	"DAHDIShowChannels.DAHDIChannel": "0: all",
	"DBGetTree.Family":               "empty: all",
	"ShowDialPlan.Context":           "empty: all",
	"Reload.Module":                  "empty: all",
	"GetConfig.Category":             "empty: all",
	"PJSIPShowMaintenance.Endpoint":  "empty: all",
}

// private are the parameters that no printing shows: they may hold secrets, as free
// text, commands and the digits of a PIN do.
var private = map[string][]string{
	"AGI":                  {"Command"},
	"Command":              {"Command"},
	"DBPut":                {"Val"},
	"DialplanExtensionAdd": {"ApplicationData"},
	"JabberSend":           {"Message"},
	"MessageSend":          {"Body", "Base64Body"},
	"MixMonitor":           {"Command"},
	"PlayDTMF":             {"Digit"},
	"PlayMF":               {"Digit"},
	"QueueLog":             {"Message"},
	"SendText":             {"Message"},
}
