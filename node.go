package ami

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/apn/ami/action"
)

// A Secret is a text that no printing, logging or marshalling shows; see
// action.Secret.
type Secret = action.Secret

// NewSecret returns the Secret of text.
func NewSecret(text string) Secret { return action.NewSecret(text) }

// Auth is the way of logging in.
type Auth uint8

// The ways of logging in.
const (
	// AuthPlain sends the secret itself: use TLS, or a network that is yours.
	AuthPlain Auth = iota
	// AuthMD5 answers a challenge, so that the secret does not cross the wire.
	// MD5 is weak: it is no substitute for TLS.
	AuthMD5
)

// A Node is one Asterisk server.
type Node struct {
	// Key names the node in events, errors, logs and ActionIDs. Letters,
	// digits and . _ - @ /, 1 to 255 of them. Required.
	Key string

	// Addr is host:port, or host alone for the default port: 5038, with TLS
	// 5039. Required.
	Addr string

	// Username and Secret are those of a user in manager.conf. Required.
	Username string
	Secret   Secret

	// Auth is AuthPlain by default.
	Auth Auth

	// TLS, if not nil, makes the connection TLS. The server's certificate is
	// verified unless the config says otherwise; an empty ServerName means the
	// host of Addr. New copies it.
	TLS *tls.Config

	// Events is the event mask at login: "on" (default), "off", or classes
	// such as "call,agent". Asterisk takes an unknown class for "off". It must
	// be empty with WithEventsOnDemand.
	Events string
}

// String returns key and address.
func (n Node) String() string { return n.Key + " (" + n.Addr + ")" }

// check fills in defaults and returns the host and port of Addr.
func (n *Node) check(cfg *config) (host, port string, err error) {
	if reason := badKey(n.Key); reason != "" {
		return "", "", &ConfigError{Key: "Node.Key", Value: strconv.Quote(n.Key), Reason: reason}
	}
	bad := func(key, value, reason string) error {
		return &ConfigError{Key: "node " + n.Key + ": Node." + key, Value: strconv.Quote(value), Reason: reason}
	}
	if n.Addr == "" {
		return "", "", bad("Addr", "", "is required: host:port of the manager interface")
	}
	host, port, err = net.SplitHostPort(n.Addr)
	if err != nil {
		host, port = strings.Trim(n.Addr, "[]"), "5038"
		if n.TLS != nil {
			port = "5039"
		}
		if strings.Contains(host, ":") {
			if _, err := netip.ParseAddr(host); err != nil {
				return "", "", bad("Addr", n.Addr, "must be host:port, an IPv6 address in brackets")
			}
		}
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		return "", "", bad("Addr", n.Addr, "the port must be 1 to 65535")
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n\x00") {
		return "", "", bad("Addr", n.Addr, "the host is empty or has a blank in it")
	}
	if _, err := netip.ParseAddr(host); err != nil && cfg.literal {
		return "", "", bad("Addr", n.Addr, "must be an IP address: LiteralAddresses is set")
	}
	for _, f := range []struct{ key, value string }{{"Username", n.Username}, {"Secret", n.Secret.Reveal()}} {
		shown := f.value
		if f.key == "Secret" {
			shown = n.Secret.String()
		}
		if f.value == "" {
			return "", "", bad(f.key, "", "is required: that of a user in manager.conf")
		}
		if strings.ContainsAny(f.value, "\r\n\x00") || len(f.value) > 900 {
			return "", "", bad(f.key, shown, "must not hold CR, LF or NUL, nor more than 900 bytes")
		}
	}
	if strings.ContainsAny(n.Events, " \t\r\n\x00") {
		return "", "", bad("Events", n.Events, "must be on, off, or classes with commas and no blanks between them")
	}
	if n.Auth > AuthMD5 {
		return "", "", bad("Auth", strconv.Itoa(int(n.Auth)), "must be AuthPlain or AuthMD5")
	}
	switch {
	case n.Events != "" && cfg.onDemand:
		return "", "", bad("Events", n.Events, "must be empty with EventsOnDemand: the subscriptions make the mask")
	case n.Events == "" && !cfg.onDemand:
		n.Events = "on"
	}
	n.Addr = net.JoinHostPort(host, port)
	if n.TLS != nil {
		n.TLS = n.TLS.Clone()
		if n.TLS.ServerName == "" {
			n.TLS.ServerName = host
		}
	}
	return host, port, nil
}

func badKey(key string) string {
	if key == "" || len(key) > 255 {
		return "must have 1 to 255 characters"
	}
	for _, c := range []byte(key) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("._-@/", c) >= 0:
		default:
			return "may hold letters, digits and . _ - @ / only: it becomes part of every ActionID"
		}
	}
	return ""
}
