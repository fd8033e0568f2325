package setting

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address returns host and port of Node.Addr, the default port filled in, or what
// is wrong with it.
func Address(addr string, secured bool) (host, port, reason string) {
	if addr == "" {
		return "", "", "is required: host:port of the manager interface"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), "5038"
		if secured {
			port = "5039"
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return "", "", "must be host:port, an IPv6 address in brackets"
		}
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		return "", "", "the port must be 1 to 65535"
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n\x00") {
		return "", "", "the host is empty or has a blank in it"
	}
	return host, port, ""
}
