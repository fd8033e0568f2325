package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// certificate makes one that signs itself, and its PEM files.
func certificate(t *testing.T) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pbx"}, DNSNames: []string{"pbx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pbx"}}, key.Public(), key)
	require.NoError(t, err)
	b, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	return cert, certPEM, keyPEM
}

// TestFilesAreReadAtEachLogin: a new authority and a new secret in the files that
// the configuration names are taken without a reload.
func TestFilesAreReadAtEachLogin(t *testing.T) { // D3, H1
	dir := t.TempDir()
	write := func(name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	old, oldPEM, _ := certificate(t)
	next, nextPEM, _ := certificate(t)
	serve := func(cert tls.Certificate, secret string) *amitest.Server {
		srv := amitest.NewServer(amitest.WithTCP(), amitest.WithCertificate(cert), amitest.WithUser(amitest.User{Name: "admin", Secret: secret}))
		t.Cleanup(srv.Close)
		return srv
	}
	first, second := serve(old, "first"), serve(next, "second")
	var at atomic.Pointer[amitest.Server]
	at.Store(first)
	write("ca.pem", oldPEM)
	write("secret", []byte("first\n"))
	write("ami.yaml", []byte(`
nodes: [{key: a, addr: "192.0.2.1:5039", username: admin, secret: {file: secret}, tls: {ca: ca.pem, server_name: pbx.test}}]
backoff: {base: 20ms, limit: 20ms, floor: 10ms}
auth_backoff: {base: 20ms, limit: 20ms}
breaker: {failures: 1000}
dial_timeout: 1m
login_timeout: 1m
`))
	c, err := Load(filepath.Join(dir, "ami.yaml"), nil)
	require.NoError(t, err)
	client, err := ami.Dial(t.Context(), c.Nodes()[0], append(c.Options(), ami.WithDialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at.Load().Addr())
	}))...)
	require.NoError(t, err)
	defer client.Close()

	until := func(failed func(error) bool) {
		for change := range client.StateChanges(t.Context()) {
			if change.Reason != nil && failed(change.Reason) {
				return
			}
		}
		t.Fatal("it did not fail so")
	}
	at.Store(second)
	for _, s := range first.Sessions() {
		s.Reset()
	}
	until(func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok })
	require.NoError(t, os.Remove(filepath.Join(dir, "ca.pem")))
	until(func(err error) bool {
		e, ok := errors.AsType[*ami.FileError](err)
		return ok && e.File == filepath.Join(dir, "ca.pem")
	})
	write("ca.pem", nextPEM)
	until(func(err error) bool { return errors.Is(err, ami.ErrAuth) })
	write("secret", nil)
	until(func(err error) bool { e, ok := errors.AsType[*ami.ConnError](err); return ok && e.Op == "secret" })
	write("secret", []byte("second"))
	require.NoError(t, client.Ready(t.Context()))
}

// TestTLSKeys: each reaches the config of the connection, and each file that
// cannot be used is refused at its path.
func TestTLSKeys(t *testing.T) { // D3, H1
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	_, cert, key := certificate(t)
	certFile, keyFile, broken := write("cert", cert), write("key", key), write("broken", []byte("x"))
	node := func(keys string) string {
		return "defaults: {tls: {ca: " + certFile + "}}\nnodes:\n- {key: a, addr: pbx, username: u, secret: s, tls: {" + keys + "}}\n"
	}
	c, err := Parse([]byte(node("certificate: "+certFile+", key: "+keyFile+", server_name: x, min_version: 1.3")), nil)
	require.NoError(t, err)
	config, err := c.Nodes()[0].TLSFunc(t.Context())
	require.NoError(t, err)
	require.Equal(t, "x", config.ServerName)
	require.EqualValues(t, tls.VersionTLS13, config.MinVersion)
	require.NotNil(t, config.RootCAs, "that of the defaults")
	require.Len(t, config.Certificates, 1)
	require.Contains(t, c.String(), fmt.Sprintf("certificate: %q", certFile))

	for file, want := range map[string][]string{
		node("certificate: " + broken + ", key: " + keyFile):                     {"line 3: nodes[0].tls.certificate: "},
		node("certificate: " + certFile + ", key: " + dir + "/no"):               {"line 3: nodes[0].tls.key: "},
		node("ca: " + broken + ", certificate: " + dir + "/no, key: " + keyFile): {"line 3: nodes[0].tls.ca: ", "line 3: nodes[0].tls.certificate: "},
		"defaults: {tls: {ca: " + broken + "}}\n" + oneNode:                      {"line 1: defaults.tls.ca: "},
	} {
		found := all(t, parseErr([]byte(file)))
		require.Len(t, found, len(want))
		for i, e := range found {
			require.Contains(t, e.Error(), want[i])
		}
	}

	for keys, secured := range map[string]bool{"": true, "enabled: true": true, "enabled: false": false} {
		c, err := Parse([]byte(node(keys)), nil)
		require.NoError(t, err)
		require.Equal(t, secured, c.Nodes()[0].TLSFunc != nil, keys)
	}
	c, err = Parse([]byte("defaults: {tls: {enabled: false, server_name: x}}\nnodes: [{key: a, addr: h, username: u, secret: s}, {key: b, addr: h, username: u, secret: s, tls: {enabled: true}}]\n"), nil)
	require.NoError(t, err)
	require.False(t, c.nodes[0].secured)
	require.True(t, c.nodes[1].secured)
	require.Equal(t, "x", c.nodes[1].files.ServerName)
}
