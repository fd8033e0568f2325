package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/config"
)

// simulated starts "ami simulate" and returns the file that it has printed.
func simulated(t *testing.T, args ...string) (l *listener, file string) {
	t.Helper()
	l = start(t, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...)
	var text strings.Builder
	n := 1
	for i, arg := range args {
		if arg == "--nodes" {
			n = int(args[i+1][0] - '0')
		}
	}
	for nodes := 0; nodes < n; {
		line := l.line(t)
		text.WriteString(line + "\n")
		if strings.HasPrefix(line, "- {key:") {
			nodes++
		}
	}
	return l, write(t, "ami.yaml", text.String())
}

// TestSimulate: what it prints is a configuration, and the servers are those of it.
func TestSimulate(t *testing.T) {
	t.Parallel()
	l, file := simulated(t, "--nodes", "3", "--calls", "50", "--asterisk", "20")
	c, err := config.Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"sim1", "sim2", "sim3"}, keysOf(c))
	e := call(t, "listen", "-c", file, "--count", "20", "--log-level", "warn", "--json")
	require.Zero(t, e.code, e.errs)
	e = call(t, "status", "-c", file, "--sample", "0")
	require.Zero(t, e.code, e.errs)
	require.Equal(t, 3, strings.Count(e.out, "20.20.1"), e.out)
	require.Zero(t, l.ends(t, syscall.SIGTERM))
	e = call(t, "ping", "-c", file)
	require.Equal(t, exitFailed, e.code, "they have ended with it")
}

func TestSimulateForAWhile(t *testing.T) {
	e := call(t, "simulate", "--listen", "127.0.0.1:0", "--nodes", "2", "--for", "10ms", "--json")
	require.Zero(t, e.code, e.errs)
	var one fakeNode
	require.NoError(t, json.Unmarshal([]byte(strings.Split(e.out, "\n")[1]), &one))
	require.Equal(t, "sim2", one.Node)
	require.Equal(t, "admin", one.User)
	e = call(t, "simulate", "--listen", "127.0.0.1:0", "--for", "10ms")
	golden(t, "simulate", e.out, `127\.0\.0\.1:\d+`, "ADDR")
}

// TestSimulateTrouble: each fault is one.
func TestSimulateTrouble(t *testing.T) {
	secret := write(t, "secret", "canary\n")
	for _, tc := range []struct {
		name string
		args []string
		ask  []string
		code int
		says string
	}{
		{"a secret", []string{"--user", "app", "--secret-file", secret}, []string{"ping"}, exitOK, ""},
		{"login error", []string{"--login-error", "Go away"}, []string{"ping"}, exitFailed, "Go away"},
		{"latency", []string{"--latency", "1h"}, []string{"ping", "--timeout", "500ms"}, exitFailed, "the time of --timeout is up"},
		{"reset", []string{"--reset-on", "2"}, []string{"ping"}, exitFailed, "session"},
		{"slow login", []string{"--login-delay", "1h"}, []string{"ping", "--timeout", "500ms"}, exitFailed, "still (connecting|connected|authenticating)"},
		{"slow banner", []string{"--banner-delay", "1h"}, []string{"ping", "--timeout", "500ms"}, exitFailed, "still connect(ing|ed)"},
		{"flood", []string{"--flood", "1000", "--calls", "0"}, []string{"listen", "--event", "UserEvent", "--count", "100", "--log-level", "error"}, exitOK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, file := simulated(t, tc.args...)
			e := call(t, append(tc.ask, "-c", file)...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Regexp(t, tc.says, e.errs)
			require.Zero(t, l.ends(t, os.Interrupt))
			require.NotContains(t, e.out+e.errs, "canary")
		})
	}
}

// TestSimulateOutage: connections are dropped, and come back.
func TestSimulateOutage(t *testing.T) {
	t.Parallel()
	l, file := simulated(t, "--drop-every", "300ms", "--down-for", "100ms")
	hears := start(t, "listen", "-c", file, "--log-level", "error")
	for !strings.Contains(hears.line(t), "gap: away for") {
		continue
	}
	require.Zero(t, hears.ends(t, os.Interrupt), hears.errs.String())
	require.Zero(t, l.ends(t, os.Interrupt))
}

// TestSimulateTLS: with a certificate it speaks TLS, and says whom to trust.
func TestSimulateTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	l, file := simulated(t, "--cert", cert, "--key", key)
	e := call(t, "ping", "-c", file)
	require.Zero(t, e.code, e.errs)
	require.Zero(t, l.ends(t, os.Interrupt))
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile = write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	return certFile, write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// TestSimulatePorts: the port that was asked for, and one that is in use.
func TestSimulatePorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := call(t, "simulate", "--listen", taken.Addr().String(), "--for", "1ms")
	require.Equal(t, exitFailed, e.code)
	require.Contains(t, e.errs, "address already in use")
	require.NoError(t, taken.Close())
	e = call(t, "simulate", "--listen", taken.Addr().String(), "--for", "1ms")
	require.Zero(t, e.code, e.errs)
	require.Contains(t, e.out, taken.Addr().String())
}

func TestSimulateRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, args string
		code       int
	}{
		{"nodes", "--nodes 0", exitUsage},
		{"too many nodes", "--nodes 101", exitUsage},
		{"user", "--user=", exitUsage},
		{"version", "--asterisk 13", exitUsage},
		{"calls", "--calls NaN", exitUsage},
		{"flood", "--flood -1", exitUsage},
		{"latency", "--latency -1s", exitUsage},
		{"address", "--listen here", exitUsage},
		{"port", "--listen 127.0.0.1:66000", exitUsage},
		{"half a certificate", "--cert x", exitUsage},
		{"no certificate", "--cert /does/not/exist --key /does/not/exist", exitConfig},
		{"no secret", "--secret-file /does/not/exist", exitConfig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := call(t, append([]string{"simulate"}, strings.Fields(tc.args)...)...)
			require.Equal(t, tc.code, e.code, e.errs)
			require.Empty(t, e.out)
		})
	}
}
