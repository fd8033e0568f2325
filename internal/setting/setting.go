// Package setting holds the one table of all options: what they are called in
// code and in a file, their unit, default and range. The library fills in and
// checks its options by it; file decoder, JSON schema and guide are made of it.
package setting

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apn/ami/frame"
	"github.com/apn/ami/internal/fair"
)

// A Kind is what the value of an option is.
type Kind uint8

// The kinds. Durations are held in nanoseconds.
const (
	Duration Kind = iota
	Count
	Bytes
	Flag
	Text
	Texts
)

// An ID is the place of an option in the table.
type ID int

// A Setting is one option, or one argument of an option that has several.
type Setting struct {
	Option string // as ConfigError.Key names it
	Path   string // in a file, with dots between the levels
	Kind   Kind
	// Default, Min and Max are for numbers. Relations narrow the range further.
	Default, Min, Max int64
	Doc               string // one sentence, without its full stop
}

// The options.
const (
	DialTimeout ID = iota
	LoginTimeout
	WriteTimeout
	ReadIdle
	KeepaliveInterval
	KeepaliveTimeout
	BackoffBase
	BackoffLimit
	BackoffFloor
	AuthBackoffBase
	AuthBackoffLimit
	BreakerFailures
	BreakerOpenFor
	BreakerProbes
	StableAfter
	ActionLanes
	QueueEntries
	QueueBytes
	PendingLimit
	ActionTimeout
	MalformedLimit
	MalformedWindow
	EventQueue
	DropSummary
	ConnectLimit
	LimitLine
	LimitHeaders
	LimitFrame
	LimitCommand
	LimitBuffer
	EventsOnDemand
	LiteralAddresses
	DefaultNode
	RedactHeaders
	RedactNames
	RedactValues
)

const (
	ms     = int64(time.Millisecond)
	sec    = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	kib    = int64(1 << 10)
	mib    = int64(1 << 20)
)

// Table holds every option at its ID. It must not be changed.
var Table = [...]Setting{
	DialTimeout:       {"DialTimeout", "dial_timeout", Duration, 3 * sec, 10 * ms, 5 * minute, "the lookup of a host name, and then once more the way up to the greeting"},
	LoginTimeout:      {"LoginTimeout", "login_timeout", Duration, 5 * sec, 10 * ms, 5 * minute, "asking for the secret, and then once more the login"},
	WriteTimeout:      {"WriteTimeout", "write_timeout", Duration, 5 * sec, 10 * ms, 5 * minute, "each write of actions"},
	ReadIdle:          {"ReadIdle", "read_idle", Duration, 90 * sec, sec, 24 * hour, "ends a session on which nothing was received for so long; above keepalive.interval"},
	KeepaliveInterval: {"Keepalive interval", "keepalive.interval", Duration, 30 * sec, sec, hour, "a Ping so often"},
	KeepaliveTimeout:  {"Keepalive timeout", "keepalive.timeout", Duration, 15 * sec, sec, hour, "ends a session whose Ping was not answered for so long"},
	BackoffBase:       {"Backoff base", "backoff.base", Duration, 500 * ms, ms, hour, "the first bound of the wait between attempts, which doubles"},
	BackoffLimit:      {"Backoff limit", "backoff.limit", Duration, 10 * sec, ms, hour, "the last bound of it; at least backoff.base"},
	BackoffFloor:      {"Backoff floor", "backoff.floor", Duration, 100 * ms, ms, hour, "the shortest wait; at most backoff.base"},
	AuthBackoffBase:   {"AuthBackoff base", "auth_backoff.base", Duration, 30 * sec, ms, 24 * hour, "the first bound of the wait after a refused login, which doubles"},
	AuthBackoffLimit:  {"AuthBackoff limit", "auth_backoff.limit", Duration, 5 * minute, ms, 24 * hour, "the last bound of it; at least auth_backoff.base"},
	BreakerFailures:   {"Breaker failures", "breaker.failures", Count, 5, 1, 1000, "failures without a stable session between them that open the breaker of a node"},
	BreakerOpenFor:    {"Breaker openFor", "breaker.open_for", Duration, 15 * sec, 10 * ms, hour, "how long an open breaker lets no attempt through"},
	BreakerProbes:     {"Breaker probes", "breaker.probes", Count, 1, 1, 100, "logins in a row that close it"},
	StableAfter:       {"StableAfter", "stable_after", Duration, 10 * sec, 0, hour, "how long a session must have been up for the failures before it to be forgotten"},
	ActionLanes:       {"ActionLanes", "action_lanes", Count, 0, 0, 8, "sessions of each node for actions alone"},
	QueueEntries:      {"OutboundQueue entries", "outbound_queue.entries", Count, 128, 1, 1 << 16, "actions of a session that may wait to be written"},
	QueueBytes:        {"OutboundQueue bytes", "outbound_queue.bytes", Bytes, 5 * mib, 128 * kib, 256 * mib, "and their bytes"},
	PendingLimit:      {"PendingLimit", "pending_limit", Count, 5000, 1, 1_000_000, "actions of a node that may wait for their answer"},
	ActionTimeout:     {"ActionTimeout", "action_timeout", Duration, 30 * sec, ms, 24 * hour, "an answer, unless the action's strategy says otherwise"},
	MalformedLimit:    {"MalformedLimit", "malformed.limit", Count, 10, 0, 1_000_000, "malformed messages within malformed.window that a session survives"},
	MalformedWindow:   {"MalformedLimit window", "malformed.window", Duration, minute, sec, 24 * hour, "the time in which they are counted"},
	EventQueue:        {"EventQueue", "event_queue", Count, 10_000, 16, 1_000_000, "events of a node that may wait to be dispatched"},
	DropSummary:       {"DropSummary", "drop_summary", Duration, 10 * sec, 10 * ms, hour, "how often drops are logged"},
	ConnectLimit:      {"ConnectLimit", "connect_limit", Count, 64, 1, 10_000, "nodes that connect at the same time"},

	LimitLine:    limit("Line", "limits.line", "the longest line received; at most limits.frame"),
	LimitHeaders: limit("Headers", "limits.headers", "the most lines of one message"),
	LimitFrame:   limit("Frame", "limits.frame", "the largest message received"),
	LimitCommand: limit("Command", "limits.command", "the largest output of a command"),
	LimitBuffer:  limit("Buffer", "limits.buffer", "memory for bytes not yet parsed; limits.frame and 4 at least; follows the other limits if it is not set"),

	EventsOnDemand:   {Option: "EventsOnDemand", Path: "events_on_demand", Kind: Flag, Doc: "has Asterisk send the events that subscriptions want; not with events of a node"},
	LiteralAddresses: {Option: "LiteralAddresses", Path: "literal_addresses", Kind: Flag, Doc: "refuses host names in addr"},
	DefaultNode:      {Option: "DefaultNode", Path: "default_node", Kind: Text, Doc: "key of the node for actions that name none, and no other; without it they go to all nodes in turn"},
	RedactHeaders:    {Option: "Redaction.Headers", Path: "redaction.headers", Kind: Texts, Doc: "names of headers whose values are hidden as well"},
	RedactNames:      {Option: "Redaction.Names", Path: "redaction.names", Kind: Texts, Doc: "regular expressions; the value of a header whose name matches is hidden"},
	RedactValues:     {Option: "Redaction.Values", Path: "redaction.values", Kind: Texts, Doc: "regular expressions; what matches in any value is hidden"},
}

// Bounds of what a node has.
const (
	MaxKey    = 255 // bytes of Node.Key
	MaxLogin  = 900 // bytes of Node.Username and of the secret
	MaxWeight = fair.MaxWeight
)

// limit is the option of a field of frame.Limits, which has its own range.
func limit(name, path, doc string) Setting {
	s := Setting{Option: "Limits." + name, Path: path, Kind: Bytes, Doc: doc}
	if name == "Headers" {
		s.Kind = Count
	}
	for _, r := range frame.LimitRanges() {
		if r.Name == name {
			s.Default, s.Min, s.Max = int64(r.Default), int64(r.Min), int64(r.Max)
		}
	}
	return s
}

// A Relation narrows the range of one option by the value of another.
type Relation struct {
	ID, Other ID
	Above     bool   // ID must be above Other, not at most Other
	Why       string // "" if that is plain
}

// Relations holds all but those between the fields of frame.Limits, which
// frame.Limits.Validate knows.
var Relations = []Relation{
	{ID: BackoffFloor, Other: BackoffBase},
	{ID: BackoffBase, Other: BackoffLimit},
	{ID: AuthBackoffBase, Other: AuthBackoffLimit},
	{ID: ReadIdle, Other: KeepaliveInterval, Above: true, Why: "or a quiet node is taken for a dead one"},
}

// Holds reports whether the values keep to it.
func (r Relation) Holds(value, other int64) bool {
	if r.Above {
		return value > other
	}
	return value <= other
}

// Allowed says what the option may be while the other has this value.
func (r Relation) Allowed(other int64) string {
	o := Table[r.Other]
	s := "at most " + o.Option + " = " + o.Show(other)
	if r.Above {
		s = "above " + o.Option + " = " + o.Show(other)
	}
	if r.Why != "" {
		s += ", " + r.Why
	}
	return s
}

// Number reports whether the option has a range.
func (s *Setting) Number() bool { return s.Kind <= Bytes }

// Takes reports whether v lies in the range.
func (s *Setting) Takes(v int64) bool { return v >= s.Min && v <= s.Max }

// Range returns the range in words, "1s to 24h".
func (s *Setting) Range() string { return s.Show(s.Min) + " to " + s.Show(s.Max) }

// Show returns a value as one would write it: 90s, 5MiB, 256.
func (s *Setting) Show(v int64) string {
	switch s.Kind {
	case Duration:
		return showDuration(time.Duration(v))
	case Bytes:
		switch {
		case v != 0 && v%mib == 0:
			return fmt.Sprintf("%dMiB", v/mib)
		case v != 0 && v%kib == 0:
			return fmt.Sprintf("%dKiB", v/kib)
		}
	case Flag:
		return strconv.FormatBool(v != 0)
	case Count, Text, Texts:
	}
	return strconv.FormatInt(v, 10)
}

// showDuration leaves out zero minutes and seconds: 24h0m0s is 24h.
func showDuration(d time.Duration) string {
	s := d.String()
	if t, ok := strings.CutSuffix(s, "m0s"); ok {
		s = t + "m"
	}
	if t, ok := strings.CutSuffix(s, "h0m"); ok {
		s = t + "h"
	}
	return s
}
