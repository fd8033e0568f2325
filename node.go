package ami

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/apn/ami/action"
	"github.com/apn/ami/internal/setting"
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

	// Username and Secret are those of a user in manager.conf: 1 to 900 bytes
	// without CR, LF and NUL. Required, unless SecretFunc is set.
	Username string
	Secret   Secret

	// SecretFunc, if not nil, is asked for the secret before each login of each
	// session, so that a secret can be changed while the client runs; see
	// SecretFile. It has the login timeout and should return when ctx ends: it
	// is called on a goroutine of its own, which is left behind if it does not,
	// and not again by the same lane before it has returned. What it returns is
	// held to the same bounds as Secret. If it fails, takes too long or panics,
	// the attempt fails with a *ConnError whose Op is "secret". Nodes and lanes
	// call it at the same time. Not together with Secret.
	SecretFunc func(ctx context.Context) (Secret, error) `json:"-"`

	// Auth is AuthPlain by default.
	Auth Auth

	// TLS, if not nil, makes the connection TLS. The server's certificate is
	// verified unless the config says otherwise; an empty ServerName means the
	// host of Addr. A MinVersion below TLS 1.2 is refused. New copies it.
	TLS *tls.Config

	// TLSFunc, if not nil, is asked for the TLS config of each connection, so
	// that certificates can be changed while the client runs; see
	// TLSFiles.Config. It has the dial timeout; if it fails, takes too long,
	// panics, or returns no config, the attempt fails with a *ConnError whose
	// Op is "tls". All else is as for TLS and SecretFunc. Not together with TLS.
	TLSFunc func(ctx context.Context) (*tls.Config, error) `json:"-"`

	// Events is the event mask at login: "on" (default), "off", or classes
	// such as "call,agent". Asterisk takes an unknown class for "off". It must
	// be empty with WithEventsOnDemand.
	Events string
}

// String returns key and address.
func (n Node) String() string { return n.Key + " (" + n.Addr + ")" }

// check fills in defaults and returns the host and port of Addr, and what is
// wrong with the node.
func (n *Node) check(cfg *config) (host, port string, errs []*ConfigError) {
	refuse := func(key, value, reason string) {
		errs = append(errs, &ConfigError{Key: "Node." + key, Node: n.Key, Value: strconv.Quote(value), Reason: reason})
	}
	if reason := badKey(n.Key); reason != "" {
		errs = append(errs, &ConfigError{Key: "Node.Key", Value: strconv.Quote(n.Key), Reason: reason})
	}
	host, port, reason := setting.Address(n.Addr, n.TLS != nil || n.TLSFunc != nil)
	if _, err := netip.ParseAddr(host); reason == "" && err != nil && cfg.literal {
		reason = "must be an IP address: LiteralAddresses is set"
	}
	if reason != "" {
		refuse("Addr", n.Addr, reason)
	}
	if reason := badLogin(n.Username); reason != "" {
		refuse("Username", n.Username, reason)
	}
	switch reason := badLogin(n.Secret.Reveal()); {
	case n.SecretFunc != nil && n.Secret.Reveal() != "":
		refuse("SecretFunc", "set", "contradicts Node.Secret: give one of them")
	case n.SecretFunc == nil && reason != "":
		shown := ""
		if n.Secret.Reveal() != "" {
			shown = n.Secret.String()
		}
		refuse("Secret", shown, reason)
	}
	if strings.ContainsAny(n.Events, " \t\r\n\x00") {
		refuse("Events", n.Events, "must be on, off, or classes with commas and no blanks between them")
	}
	if n.Auth > AuthMD5 {
		refuse("Auth", strconv.Itoa(int(n.Auth)), "must be AuthPlain or AuthMD5")
	}
	switch {
	case n.TLS != nil && n.TLSFunc != nil:
		refuse("TLSFunc", "set", "contradicts Node.TLS: give one of them")
	case n.TLS != nil && tooOld(n.TLS) != "":
		refuse("TLS.MinVersion", tooOld(n.TLS), "must be TLS 1.2 or later")
	}
	switch {
	case n.Events != "" && cfg.onDemand:
		refuse("Events", n.Events, "must be empty with EventsOnDemand: the subscriptions make the mask")
	case n.Events == "" && !cfg.onDemand:
		n.Events = "on"
	}
	n.Addr = net.JoinHostPort(host, port)
	if n.TLS != nil {
		n.TLS = serving(n.TLS, host)
	}
	return host, port, errs
}

// taken is the error for a key that occurs twice.
func (n *Node) taken() *ConfigError {
	return &ConfigError{Key: "Node.Key", Node: n.Key, Value: strconv.Quote(n.Key), Reason: "is the key of another node of the cluster"}
}

// badLogin says what is wrong with a user name or a secret.
func badLogin(text string) string {
	switch {
	case text == "":
		return "is required: that of a user in manager.conf"
	case strings.ContainsAny(text, "\r\n\x00") || len(text) > setting.MaxLogin:
		return fmt.Sprintf("must not hold CR, LF or NUL, nor more than %d bytes", setting.MaxLogin)
	default:
		return ""
	}
}

func badKey(key string) string {
	if key == "" || len(key) > setting.MaxKey {
		return fmt.Sprintf("must have 1 to %d characters", setting.MaxKey)
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
