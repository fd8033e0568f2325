package main

// Go names where catalog.GoName would not do, by event and header.
var fieldNames = map[string]string{
	"CEL.EventName":            "Type",         // EventName is a method
	"PeerStatus.Time":          "RoundTrip",    // would hide Event.Time
	"ResourceListDetail.Event": "EventPackage", // the struct embeds Event
	"Status.Variable":          "Variables",
	"FAXStatus.FileName":       "FileNames",
	"ReceiveFAX.FileName":      "FileNames",
	"SendFAX.FileName":         "FileNames",
}

// The Go names in the structs of the snapshots.
var snapshotNames = map[string]map[string]string{
	"channel": {
		"Channel": "Name", "ChannelState": "State", "ChannelStateDesc": "StateDesc",
		"Uniqueid": "UniqueID", "Linkedid": "LinkedID", "Tenantid": "TenantID", "ChanVariable": "Variables",
	},
	"bridge": {
		"BridgeUniqueid": "UniqueID", "BridgeType": "Type", "BridgeTechnology": "Technology", "BridgeCreator": "Creator",
		"BridgeName": "Name", "BridgeNumChannels": "NumChannels", "BridgeVideoSourceMode": "VideoSourceMode",
		"BridgeVideoSource": "VideoSource",
	},
}

// Headers that hold passwords or what is made of them. They get no field,
// because typed events are printed and marshalled.
var secrets = map[string]bool{
	"AuthDetail.Md5Cred":                       true,
	"AuthDetail.OauthSecret":                   true,
	"AuthDetail.Password":                      true,
	"AuthDetail.PasswordDigest":                true,
	"AuthDetail.RefreshToken":                  true,
	"AuthList.Md5Cred":                         true,
	"AuthList.OauthSecret":                     true,
	"AuthList.Password":                        true,
	"AuthList.PasswordDigest":                  true,
	"AuthList.RefreshToken":                    true,
	"ChallengeResponseFailed.ExpectedResponse": true,
	"ChallengeResponseFailed.Response":         true,
	"InvalidPassword.ReceivedHash":             true,
	"TransportDetail.Password":                 true,
	"VoicemailPasswordChange.NewPassword":      true,
}

// Headers whose values are those of a list in the catalogue, where it does not
// say so itself: Go types by event and header.
var enumFields = map[string]string{
	"Agents.Status":                "AgentStatus",
	"bridge.BridgeVideoSourceMode": "BridgeVideoMode",
	"CEL.AMAFlags":                 "AMAFlags",
	"Cdr.AMAFlags":                 "AMAFlags",
	"Cdr.Disposition":              "CDRDisposition",
	"ContactList.Status":           "ContactState",
	"ContactStatus.ContactStatus":  "ContactState",
	"ContactStatusDetail.Status":   "ContactState",
	"DialEnd.DialStatus":           "DialStatus",
	"DialState.DialStatus":         "DialStatus",
	"EndpointDetail.DeviceState":   "DeviceState",
	"EndpointList.DeviceState":     "DeviceState",
	"Load.Status":                  "ModuleStatus",
	"Unload.Status":                "ModuleStatus",
}
