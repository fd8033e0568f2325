package main

import "strings"

// what each event tells, in the words that follow its name. The ends of lists
// need none.
var phrases = func() map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(phraseTable) {
		if name, phrase, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			m[name] = phrase
		}
	}
	return m
}()

// remarks stand for the notes of the catalogue where those would not do as a
// comment, or tell a reader of the typed event nothing.
var remarks = map[string][]string{
	"AOC-D":            {flattened},
	"AOC-E":            {flattened},
	"AOC-S":            {flattened},
	"Agents":           nil,
	"ConfbridgeRecord": nil,
	"DeadlockStart":    {"it needs a build with DEBUG_THREADS and DETECT_DEADLOCKS"},
	"DeviceEntry":      {glued},
	"EndpointList":     nil,
	"FullyBooted":      {"a session gets it right after its login too, if Asterisk has started before"},
	"LineEntry":        {glued},
	"MCID":             {"it needs a libpri that knows MCID"},
	"PeerStatus":       {"in a list it has a Privilege header like a broadcast"},
	"RTCPReceived":     nil,
	"RTCPSent":         nil,
	"Status":           {"it has a Privilege header like a broadcast, but is none"},
	"TestEvent":        {"it needs a build with TEST_FRAMEWORK"},
	"UserEvent": {
		"from a dialplan or ARI it has Channel, and further channels under the prefixes 2, 3 and so on",
		"from a session it has all headers of the action",
	},
	"VarSet": {`for a global variable Channel.Name and Channel.UniqueID are "none"`},
}

const glued = "no blank line stands behind it, so that several come as one event: the fields are those of the first, and Frame has all"

const flattened = "what is nested is flattened: names are joined by slashes, the elements of lists numbered in parentheses, and nothing is an empty value"

// formats are how texts are written, where the catalogue's words would not do
// as a comment. The empty ones say nothing that a reader needs.
var formats = map[string]string{
	"YYYY-MM-DD HH:MM:SS server local":                     "2006-01-02 15:04:05 in the server's time zone",
	"YYYY-MM-DD HH:MM:SS server local or empty":            "2006-01-02 15:04:05 in the server's time zone, or empty",
	"channel name, or requested Tech/data when no channel": "the channel, or what was to be dialled if there is none",
	"composite":         "",
	"int (description)": "a number and what it means, in parentheses",
	"int or hint":       "a number, or hint",
	"json":              "JSON",
	"log file name":     "name of the file",
	"methods or no":     "the methods, or no",
	"name/data":         "its name, a slash and what it is given",
	"name=value":        "",
	"text seconds":      "seconds, in words",
	"type(name)":        "a number and its name in parentheses",
	"uri-encoded":       "URI-encoded: see net/url.PathUnescape",
	"usec or N/A":       "microseconds, or N/A",
}

// conditions are when a header comes, in words for a comment.
var conditions = map[string]string{
	"analog signalling module": "from the module for analog signalling",
	"application originate":    "of a call to an application",
	"chan_dahdi":               "from chan_dahdi",
	"channelvars configured; one header per variable": "those in channelvars of manager.conf",
	"extension originate":                             "of a call to an extension",
	"non-empty tenant id":                             "if there is one",
	"sent by AMI action with ActionID":                "of the action, if it was one that had any",
	"Variables / AllVariables requested":              "those that the action asked for",
	"video mode not none and a source is set":         "if there is one",
}

const phraseTable = `
AGIExecEnd: tells that an AGI command has ended, and how
AGIExecStart: tells that a channel begins to run an AGI command
AOC-D: tells what a call costs so far (advice of charge during the call)
AOC-E: tells what a call did cost (advice of charge at its end)
AOC-S: tells what a call will cost (advice of charge at its start)
AgentCalled: tells that a queue rings a member for a caller
AgentComplete: tells that a member and a caller of a queue have finished, and who ended the call
AgentConnect: tells that a member has answered and is connected to a caller of the queue
AgentDump: tells that a member hung up on a caller while the announcement was played to the member
AgentLogin: tells that an agent has logged in
AgentLogoff: tells that an agent has logged off
AgentRingNoAnswer: tells that a queue rang a member and got no answer
Agents: is one agent of app_agent_pool
Alarm: tells that a DAHDI channel has an alarm
AlarmClear: tells that a DAHDI channel has its alarm no more
AorDetail: is one address of record of a PJSIP endpoint
AorList: is one address of record of PJSIP
AsyncAGIEnd: tells that a channel has left asynchronous AGI
AsyncAGIExec: tells that a command which was given by action AGI is done
AsyncAGIStart: tells that a channel waits for AGI commands
AttendedTransfer: tells that somebody transferred a call after having talked to its target
AuthDetail: is one authentication of a PJSIP endpoint or registration
AuthList: is one authentication object of PJSIP
AuthMethodNotAllowed: tells that a login was refused for the way it authenticated
BlindTransfer: tells that somebody transferred a call without waiting for its target
BridgeCreate: tells that there is a new bridge
BridgeDestroy: tells that a bridge is gone
BridgeEnter: tells that a channel has entered a bridge
BridgeInfoChannel: is one channel in the bridge that was asked for
BridgeLeave: tells that a channel has left a bridge
BridgeListItem: is one bridge
BridgeMerge: tells that the channels of one bridge move to another
BridgeTechnologyListItem: is one way in which Asterisk can bridge channels
BridgeVideoSourceUpdate: tells that a bridge shows the video of another channel
CCAvailable: tells that a caller may ask to be called back (call completion)
CCCallerRecalling: tells that the caller of a call completion is called back
CCCallerStartMonitoring: tells that Asterisk watches whether the caller of a call completion is free
CCCallerStopMonitoring: tells that Asterisk no longer watches the caller of a call completion
CCFailure: tells that a call completion has failed, and why
CCMonitorFailed: tells that Asterisk cannot watch a callee for a call completion
CCOfferTimerStart: tells that a caller has some time to ask for call completion
CCRecallComplete: tells that a call completion has done its work
CCRequestAcknowledged: tells that the side of the callee takes the request for call completion
CCRequested: tells that a caller has asked for call completion
CEL: is one entry of the channel event log
Cdr: is a call detail record
ChallengeResponseFailed: tells that a login was refused because the answer to its challenge was wrong
ChallengeSent: tells that a login was sent a challenge
ChanSpyStart: tells that one channel begins to listen to another
ChanSpyStop: tells that one channel no longer listens to another
ChannelHungup: is one channel that the action hangs up
ChannelTalkingStart: tells that somebody begins to talk, if TALK_DETECT is set for the channel
ChannelTalkingStop: tells that somebody has stopped talking, and for how long they talked
ConfbridgeEnd: tells that a conference of ConfBridge is over
ConfbridgeJoin: tells that a channel has joined a conference
ConfbridgeLeave: tells that a channel has left a conference
ConfbridgeList: is one channel in a conference of ConfBridge
ConfbridgeListRooms: is one conference of ConfBridge
ConfbridgeMute: tells that a channel was muted in a conference
ConfbridgeRecord: tells that the recording of a conference begins
ConfbridgeStart: tells that a conference of ConfBridge begins
ConfbridgeStopRecord: tells that the recording of a conference has ended
ConfbridgeTalking: tells that somebody in a conference begins or stops to talk
ConfbridgeUnmute: tells that a channel may be heard again in a conference
ContactList: is one contact of PJSIP
ContactStatus: tells that a contact of PJSIP came, went, or can be reached or not
ContactStatusDetail: is one contact of PJSIP and whether it can be reached
CoreShowChannel: is one channel
CoreShowChannelMap: is one pair of channels that are connected by a bridge or by dialling
DAHDIChannel: tells which DAHDI channel a channel uses
DAHDIShowChannels: is one DAHDI channel
DAHDIShowStatus: is one DAHDI span
DBGetResponse: is the entry of Asterisk's database that was asked for
DBGetTreeResponse: is one entry of Asterisk's database
DNDState: tells that do-not-disturb was switched on or off at a DAHDI channel
DTMFBegin: tells that a DTMF digit begins
DTMFEnd: tells that a DTMF digit has ended
DeadlockStart: tells that a thread seems to wait for ever
DeviceEntry: is one SCCP phone
DeviceStateChange: tells the state of a device
DialBegin: tells that a channel begins to dial; Channel is the caller, if there is one, DestChannel the one being called
DialEnd: tells that dialling has ended, and how
DialState: tells how far dialling is: the other side rings, or there is progress
EndpointDetail: is the configuration of a PJSIP endpoint
EndpointList: is one PJSIP endpoint
ExtensionStatus: tells the state of the devices behind a hint
FAXSession: is the fax session that was asked for
FAXSessionsEntry: is one fax session
FAXStats: has the counters of the fax sessions
FAXStatus: tells how far a fax is
FailedACL: tells that a login was refused because its address is not permitted
Flash: tells that a hook flash was received from a channel
FullyBooted: tells that Asterisk has started all it should start
Hangup: tells that a channel is gone, and why
HangupHandlerPop: tells that a hangup handler was taken off a channel
HangupHandlerPush: tells that a channel got a hangup handler
HangupHandlerRun: tells that a hangup handler of a channel runs
HangupRequest: tells that a channel was asked to hang up by its own side
Hold: tells that a channel was put on hold by the side it belongs to
IdentifyDetail: is one rule by which PJSIP knows an endpoint by its address
InboundRegistrationDetail: is an address of record that phones may register at
InboundSubscriptionDetail: is one subscription that somebody has here
InvalidAccountID: tells that a login was refused because there is no such account
InvalidPassword: tells that a login was refused for its password
InvalidTransport: tells that a request came over a transport which the account may not use
JabberStatus: tells the presence of an XMPP contact
LineEntry: is one line of an SCCP phone
ListDialplan: is one priority, include, switch or ignored pattern of the dialplan, or a context
Load: tells that a module was loaded, or not
LoadAverageLimit: tells that a request was refused because the load of the server is too high
LocalBridge: tells that the two halves of a Local channel are connected
LocalOptimizationBegin: tells that a Local channel is about to be cut out of a call
LocalOptimizationEnd: tells that a Local channel was cut out of a call, or not
LogChannel: tells that a log file was opened or closed
MCID: tells that a callee asked the network to note a malicious call
MWIGet: is one mailbox
MeetmeEnd: tells that a conference of MeetMe is over
MeetmeJoin: tells that a channel has joined a conference of MeetMe
MeetmeLeave: tells that a channel has left a conference of MeetMe
MeetmeList: is one channel in a conference of MeetMe
MeetmeListRooms: is one conference of MeetMe
MeetmeMute: tells that a channel was muted in a conference of MeetMe, or may be heard again
MeetmeTalkRequest: tells that a muted user of a conference of MeetMe wants to talk, or no longer does
MeetmeTalking: tells that somebody in a conference of MeetMe begins or stops to talk
MemoryLimit: tells that a request was refused because memory is short
MessageWaiting: tells how many messages a mailbox has
MiniVoiceMail: tells that MiniVM has recorded and sent a message
MixMonitorMute: tells that the recording of a channel was muted, or is no longer
MixMonitorStart: tells that MixMonitor begins to record a channel
MixMonitorStop: tells that MixMonitor no longer records a channel
MobileStatus: tells that a phone came or went by Bluetooth
MonitorStart: tells that Monitor begins to record a channel
MonitorStop: tells that Monitor no longer records a channel
MusicOnHoldStart: tells that a channel hears music on hold
MusicOnHoldStop: tells that a channel no longer hears music on hold
NewAccountCode: tells that a channel has another account code
NewCallerid: tells that a channel has another caller ID
NewConnectedLine: tells that a channel has another connected line
Newchannel: tells that there is a new channel
Newexten: tells that a channel runs the next application of its dialplan
Newstate: tells that the state of a channel has changed
OriginateResponse: tells how an asynchronous Originate ended. Every session gets it, so compare the ActionID: it is that of the action
OutboundRegistrationDetail: is one registration of this server at another
OutboundSubscriptionDetail: is one subscription that this server has elsewhere
PJSIPMaintenanceStatus: tells whether a PJSIP endpoint is in maintenance
PRIShowSpans: is one PRI span
ParkedCall: tells that a call is parked
ParkedCallGiveUp: tells that a parked call has hung up
ParkedCallSwap: tells that another channel took the place of a parked one
ParkedCallTimeOut: tells that a call was parked too long
Parkinglot: is one parking lot
PeerEntry: is one SIP or IAX peer
PeerStatus: tells that a peer came, went, or can be reached or not
Pickup: tells that a channel has picked up a call that rang elsewhere; TargetChannel is the one that rang
PresenceStateChange: tells the presence of a person
PresenceStatus: tells the presence behind a hint
QueueCallerAbandon: tells that a caller hung up while waiting in a queue
QueueCallerJoin: tells that a caller has joined a queue
QueueCallerLeave: tells that a caller has left a queue, whatever for
QueueEntry: is one caller who waits in a queue
QueueMember: is one member of a queue
QueueMemberAdded: tells that a queue has a new member
QueueMemberPause: tells that a member of a queue was paused, or is no longer
QueueMemberPenalty: tells that a member of a queue has another penalty
QueueMemberRemoved: tells that a member was taken out of a queue
QueueMemberRinginuse: tells whether a member of a queue may be rung while it is in use
QueueMemberStatus: tells that the state of a member of a queue has changed
QueueParams: is one queue with its settings and counters
QueueSummary: is one queue in figures
RTCPReceived: tells of an RTCP packet that was received
RTCPSent: tells of an RTCP packet that was sent
ReceiveFAX: tells that a fax was received
RegistryEntry: is one registration of this server at another by SIP or IAX
Registry: tells that a registration of this server at another has changed
Reload: tells that a module was reloaded, or all of them
Rename: tells that a channel has another name
RequestBadFormat: tells that a request was not understood
RequestNotAllowed: tells that an account may not make the request that it made
RequestNotSupported: tells that a request was refused because it is not supported
ResourceListDetail: is one list of resources that phones can subscribe to
SIPQualifyPeerDone: tells that the peer was asked whether it is there
SendFAX: tells that a fax was sent
SessionLimit: tells that a login was refused because there are too many sessions
SessionTimeout: tells that a SIP session was ended because nothing came from it
Shutdown: tells that Asterisk ends
SoftHangupRequest: tells that Asterisk wants a channel to hang up
SpanAlarm: tells that a DAHDI span has an alarm
SpanAlarmClear: tells that a DAHDI span has its alarm no more
Status: is one channel in detail
SuccessfulAuth: tells that somebody has logged in
TestEvent: is for the tests of Asterisk itself
TransportDetail: is the transport of a PJSIP endpoint
UnParkedCall: tells that a parked call was fetched
UnexpectedAddress: tells that a request came from an address that the account does not have
Unhold: tells that a channel is no longer on hold
Unload: tells that a module was unloaded
UserEvent: is what a dialplan or a session made up: the field UserEvent has its name, and the headers are what they like
VarSet: tells that a channel variable or a global one was set
VoicemailBoxDetail: is one message in a mailbox
VoicemailPasswordChange: tells that somebody has changed the password of a mailbox
VoicemailUserDetail: is the mailbox that was asked for
VoicemailUserEntry: is one mailbox
WaitEventComplete: ends the answer to WaitEvent
Wink: tells that a wink was received from a channel
`
