package ami

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/apn/ami/frame"
)

// The steps of a connection, for ConnError.Op.
const (
	opResolve = "resolve"
	opSecret  = "secret"
	opDial    = "dial"
	opTLS     = "tls"
	opBanner  = "banner"
	opLogin   = "login"
	opSession = "session"
)

// ops are the steps at which an attempt fails.
var ops = [...]string{opResolve, opSecret, opDial, opTLS, opBanner, opLogin}

// hint says in one sentence what to do about a failed step, "" if the error
// says it all.
func hint(op string, err error) string {
	timeout := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	_, dns := errors.AsType[*net.DNSError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, banner := errors.AsType[*frame.BannerError](err)
	switch {
	case op == opSecret && timeout:
		return "Node.SecretFunc must answer within the login timeout"
	case op == opResolve || dns:
		return "check the host name in Node.Addr, or use an IP address"
	case op == opDial && errors.Is(err, syscall.ECONNREFUSED):
		return "check that Asterisk runs and that enabled, bindaddr and port in manager.conf fit Node.Addr"
	case op == opDial && timeout:
		return "check the address and the firewall between here and there"
	case op == opTLS && notTLS:
		return "the port does not speak TLS: use the one of tlsbindaddr in manager.conf, or leave Node.TLS empty"
	case op == opTLS && strings.Contains(err.Error(), "protocol version"): // crypto/tls has no type for it
		return "the server speaks no TLS 1.2 or later, and nothing older is used: update its OpenSSL, and see that manager.conf does not have tlsdisablev12 = yes"
	case op == opTLS && unknown:
		return "put the CA of the server's certificate into Node.TLS.RootCAs"
	case op == opTLS && invalid:
		return "renew the server's certificate, or check the clock"
	case op == opTLS && name:
		return "set Node.TLS.ServerName to a name in the server's certificate"
	case op == opBanner && banner:
		return "Node.Addr is the port of another service: use that of manager.conf"
	case op == opBanner && timeout:
		return "nobody greets there: the port may want TLS (Node.TLS) or belong to another service"
	case op == opBanner && errors.Is(err, io.EOF):
		return "Asterisk closes without a greeting when authlimit in manager.conf is reached or an ACL denies the address"
	case errors.Is(err, ErrAuth):
		return "check Username, Secret and the ACL of the user in manager.conf"
	case op == opLogin && timeout:
		return "the server accepts connections but does not answer: check its load"
	default:
		return ""
	}
}
