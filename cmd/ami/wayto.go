package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/apn/ami"
	"github.com/apn/ami/frame"
)

// reloaded is what makes a change of manager.conf count.
const reloaded = `, then asterisk -rx "manager reload"`

// wayTo is what the first attempt to log in to a node, with its error if it has
// failed, says of the steps up to the login.
func wayTo(ctx context.Context, n ami.Node, err error) []check {
	checks := []check{
		nameCheck(ctx, n),
		{Step: "secret", Verdict: fine, Text: "is there"},
		{Step: "port", Verdict: fine, Text: "is open"},
		tlsCheck(n),
		{Step: "banner", Verdict: fine, Text: "it is an Asterisk manager"},
		{Step: "login", Verdict: fine, Text: "as " + n.Username},
	}
	if err == nil {
		return checks
	}
	failed := failure(ctx, n, err)
	at := slices.IndexFunc(checks, func(c check) bool { return c.Step == failed.Step })
	return append(checks[:at], failed)
}

// nameCheck looks a host name up.
func nameCheck(ctx context.Context, n ami.Node) check {
	host, _, _ := net.SplitHostPort(address(n)) // it has a port
	if net.ParseIP(host) != nil {
		return check{Step: "name", Verdict: fine, Text: "is an address"}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return check{Step: "name", Verdict: doubt, Text: fmt.Sprintf("%s was known before and is not now: %v", host, err)}
	}
	return check{Step: "name", Verdict: fine, Text: host + " is " + strings.Join(addrs, ", ")}
}

// tlsCheck judges whether the way is safe, when it works.
func tlsCheck(n ami.Node) check {
	c := check{Step: "tls", Verdict: fine, Text: "the certificate is good"}
	if secured(n) {
		return c
	}
	host, _, _ := net.SplitHostPort(address(n)) // it has a port
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		c.Text = "not used, and not needed on one machine"
		return c
	}
	c.Verdict, c.Text = doubt, "not used: events cross the network in clear text"
	if n.Auth == ami.AuthPlain {
		c.Text = "not used: the secret and all events cross the network in clear text"
	}
	c.Fix = "manager.conf [general]: tlsenable = yes, tlsbindaddr = 0.0.0.0:5039, tlscertfile = ...; and tls: {} at the node, without a port in addr"
	return c
}

// failure explains why an attempt has failed.
func failure(ctx context.Context, n ami.Node, err error) check {
	e, ok := errors.AsType[*ami.ConnError](err)
	if !ok { // the time of --timeout is up
		return check{Step: "port", Verdict: wrongly, Text: "no login in time: " + err.Error(), Fix: "give it more with --timeout, or check the firewall"}
	}
	text := e.Err.Error()
	switch e.Op {
	case "resolve":
		return check{Step: "name", Verdict: wrongly, Text: text, Fix: "correct addr in the configuration, or use an IP address"}
	case "secret":
		return check{Step: "secret", Verdict: wrongly, Text: text, Fix: "correct secret in the configuration, or the rights of its file"}
	case "dial":
		return dialFailure(n, e.Err)
	case "tls":
		return tlsFailure(e.Err)
	case "banner":
		return bannerFailure(ctx, n, e.Err)
	case "session":
		return check{Step: "login", Verdict: wrongly, Text: "the session ended at once: " + text, Fix: "read Asterisk's log; manager.conf [general]: writetimeout = 5000 if this machine is slow to read"}
	default:
		return loginFailure(n, e.Err)
	}
}

func late(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func dialFailure(n ami.Node, err error) check {
	c := check{Step: "port", Verdict: wrongly}
	_, port, _ := net.SplitHostPort(address(n)) // it has a port
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && secured(n):
		c.Text = "nobody listens there: Asterisk does not run, or its manager speaks no TLS, or on another address"
		c.Fix = "manager.conf [general]: enabled = yes, tlsenable = yes, tlsbindaddr = 0.0.0.0:" + port + reloaded
	case errors.Is(err, syscall.ECONNREFUSED):
		c.Text = "nobody listens there: Asterisk does not run, or its manager is off, or listens on another address or port"
		c.Fix = "manager.conf [general]: enabled = yes, bindaddr = 0.0.0.0, port = " + port + reloaded
	case late(err):
		c.Text = "no answer at all: a firewall drops the packets, or the machine is off"
		c.Fix = "let TCP port " + port + " through to the server; it is no matter of manager.conf"
	default:
		c.Text, c.Fix = err.Error(), "check addr in the configuration and the network in between"
	}
	return c
}

func tlsFailure(err error) check {
	c := check{Step: "tls", Verdict: wrongly, Text: err.Error()}
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	switch {
	case plain:
		c.Text = "the port speaks no TLS"
		c.Fix = "use the port of tlsbindaddr in manager.conf [general] (tlsenable = yes, 5039 if it says none), or leave tls out at the node"
	case unknown:
		c.Text = "the certificate is of an authority that is not trusted here"
		c.Fix = "name the file of the authority as tls.ca at the node, or --ca"
	case name:
		c.Fix = "name what stands in the certificate as tls.server_name at the node, or give Asterisk another: manager.conf [general]: tlscertfile = ..."
	case invalid:
		c.Fix = "renew the certificate of manager.conf [general] tlscertfile, and check the clocks"
	case late(err):
		c.Text, c.Fix = "no answer to the handshake", "check that the port is that of tlsbindaddr in manager.conf [general]"
	}
	return c
}

func bannerFailure(ctx context.Context, n ami.Node, err error) check {
	c := check{Step: "banner", Verdict: wrongly, Text: err.Error()}
	foreign, isForeign := errors.AsType[*frame.BannerError](err)
	switch {
	case isForeign:
		c.Text = fmt.Sprintf("another service answers: it greets with %q", foreign.Line)
		c.Fix = "use the port of manager.conf [general] (port = 5038 if it says none)"
	case late(err) && !secured(n) && speaksTLS(ctx, address(n)):
		c.Step, c.Text = "tls", "the port speaks TLS, and the node is configured without"
		c.Fix = "tls: {} at the node, or --tls; or use the port of manager.conf [general] port"
	case late(err):
		c.Text = "the port is open and nobody greets: Asterisk hangs, or it is another service"
		c.Fix = "use the port of manager.conf [general] (port = 5038 if it says none); look at Asterisk's load"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		c.Text = "the server closes without a greeting: too many are connected that have not logged in"
		c.Fix = "manager.conf [general]: authlimit = 50 or more, authtimeout = 30 or less; find out who connects and does not log in" + reloaded
	}
	return c
}

// speaksTLS reports whether a TLS server listens there. Whether its certificate is
// good is another question.
func speaksTLS(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := new(tls.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = conn.Close() // nothing was said
	}
	_, verified := errors.AsType[*tls.CertificateVerificationError](err)
	return err == nil || verified
}

func loginFailure(n ami.Node, err error) check {
	c := check{Step: "login", Verdict: wrongly, Text: err.Error()}
	section := "manager.conf [" + n.Username + "]: "
	switch text := err.Error(); {
	case errors.Is(err, ami.ErrShutdown):
		c.Text, c.Fix = "Asterisk is shutting down", "wait, or asterisk -rx \"core abort shutdown\""
	case strings.Contains(text, "Login Already In Use"):
		c.Text = "the user is logged in already and may be so once only"
		c.Fix = "manager.conf [general]: allowmultiplelogin = yes, or the same in [" + n.Username + "]" + reloaded
	case errors.Is(err, ami.ErrAuth):
		c.Text = "refused. Asterisk says the same of a user that does not exist, a wrong secret, and an address that may not log in; its own log says which"
		c.Fix = section + "secret = the one of the configuration, permit = the address of this machine (or no deny)" + reloaded
	case late(err):
		c.Text = "the server greets and does not answer the login"
		c.Fix = "look at Asterisk's load, and at \"core show locks\""
	}
	return c
}
