package main

import (
	"slices"
	"strings"

	"github.com/apn/ami/internal/catalog"
)

// The file for the events of a module of Asterisk.
var moduleFiles = map[string]string{
	"app_agent_pool":                   "agents",
	"app_confbridge":                   "confbridge",
	"app_meetme":                       "meetme",
	"app_minivm":                       "voicemail",
	"app_queue":                        "queue",
	"app_voicemail":                    "voicemail",
	"cdr_manager":                      "records",
	"cel_manager":                      "records",
	"chan_dahdi":                       "dahdi",
	"chan_iax2":                        "iax",
	"chan_mobile":                      "mobile",
	"chan_sip":                         "sip",
	"chan_skinny":                      "skinny",
	"res_agi":                          "agi",
	"res_fax":                          "fax",
	"res_fax_spandsp":                  "fax",
	"res_manager_devicestate":          "states",
	"res_manager_presencestate":        "states",
	"res_mwi_external_ami":             "mwi",
	"res_parking":                      "parking",
	"res_pjsip":                        "pjsip",
	"res_pjsip_endpoint_identifier_ip": "pjsip",
	"res_pjsip_maintenance":            "pjsip",
	"res_pjsip_outbound_registration":  "pjsip_registrations",
	"res_pjsip_pubsub":                 "pjsip_subscriptions",
	"res_pjsip_registrar":              "pjsip_registrations",
	"res_xmpp":                         "xmpp",
}

// The files for the events of Asterisk's core, by what they are about. Those of
// class security go to one of their own.
var coreFiles = map[string]string{
	"agents":     "AgentLogin AgentLogoff",
	"aoc":        "AOC-D AOC-E AOC-S",
	"bridges":    "BridgeCreate BridgeDestroy BridgeEnter BridgeInfoChannel BridgeInfoComplete BridgeLeave BridgeListComplete BridgeListItem BridgeMerge BridgeTechnologyListComplete BridgeTechnologyListItem BridgeVideoSourceUpdate",
	"channels":   "ChannelHungup ChannelsHungupListComplete CoreShowChannel CoreShowChannelMap CoreShowChannelMapComplete CoreShowChannelsComplete Flash Hangup HangupRequest Hold NewAccountCode NewCallerid Newchannel NewConnectedLine Newstate Rename SoftHangupRequest Status StatusComplete Unhold Wink",
	"completion": "CCAvailable CCCallerRecalling CCCallerStartMonitoring CCCallerStopMonitoring CCFailure CCMonitorFailed CCOfferTimerStart CCRecallComplete CCRequestAcknowledged CCRequested",
	"database":   "DBGetComplete DBGetResponse DBGetTreeComplete DBGetTreeResponse",
	"dial":       "DialBegin DialEnd DialState LocalBridge LocalOptimizationBegin LocalOptimizationEnd OriginateResponse",
	"dialplan":   "HangupHandlerPop HangupHandlerPush HangupHandlerRun ListDialplan Newexten ShowDialPlanComplete UserEvent VarSet",
	"fax":        "FAXStatus ReceiveFAX SendFAX",
	"media":      "ChannelTalkingStart ChannelTalkingStop ChanSpyStart ChanSpyStop DTMFBegin DTMFEnd MixMonitorMute MixMonitorStart MixMonitorStop MonitorStart MonitorStop MusicOnHoldStart MusicOnHoldStop RTCPReceived RTCPSent",
	"mwi":        "MessageWaiting",
	"peers":      "ContactStatus PeerStatus Registry",
	"states":     "DeviceStateChange ExtensionStateListComplete ExtensionStatus PresenceStateChange PresenceStatus",
	"system":     "DeadlockStart FullyBooted Load LogChannel Reload Shutdown TestEvent Unload WaitEventComplete",
	"transfers":  "AttendedTransfer BlindTransfer Pickup",
}

// fileOf returns the name of the file for e without ".go", "" if the tables do
// not say.
func fileOf(e *catalog.Event) string {
	switch {
	case e.Module != "core":
		return moduleFiles[e.Module]
	case slices.Contains(e.Class, "security"):
		return "security"
	}
	for file, names := range coreFiles {
		if slices.Contains(strings.Fields(names), e.Name) {
			return file
		}
	}
	return ""
}
