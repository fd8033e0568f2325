package redisstream_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami/bridge/internal/brokertest"
	"github.com/apn/ami/bridge/internal/redistest"
	"github.com/apn/ami/bridge/redisstream"
)

// TestTLS: records go over TLS to a server whose certificate is checked.
func TestTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1
	defer https.Close()
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(https.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	plain := own(t)
	secure := redistest.New(t)
	_, port, _ := strings.Cut(secure.Addr(), ":")
	c := plain.Client(t)
	do(
		t, c, "config", "set", "tls-cert-file", file("cert.pem", "CERTIFICATE", https.Certificate().Raw),
		"tls-key-file", file("key.pem", "PRIVATE KEY", key), "tls-auth-clients", "no", "tls-port", port,
	)

	o := redisstream.Options{URL: "rediss://" + secure.Addr()}
	_, err = redisstream.Open(t.Context(), o)
	require.ErrorContains(t, err, "certificate")
	trusted := x509.NewCertPool()
	trusted.AddCert(https.Certificate())
	o.TLS = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	b := open(t, o)
	publish(t, b, brokertest.Records("a", 1, 3))
	require.Len(t, ids(t, redisstream.Options{URL: plain.URL()}, "a"), 3)
}
