package ami_test

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
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/amitest"
)

// write writes a file of the test and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestSecretFile(t *testing.T) { // H1, G2
	dir := t.TempDir()
	for name, text := range map[string]string{"plain": "s3cret", "line": "s3cret\n", "windows": "s3cret\r\n"} {
		s, err := ami.SecretFile(write(t, dir, name, text))(t.Context())
		require.NoError(t, err)
		require.Equal(t, "s3cret", s.Reveal())
	}
	s, err := ami.SecretFile(write(t, dir, "blanks", " s \n"))(t.Context())
	require.NoError(t, err)
	require.Equal(t, " s ", s.Reveal(), "all but the line end belongs to it")
	for _, tc := range []struct {
		name, path, says string
		is               error
	}{
		{"missing", filepath.Join(dir, "missing"), "no such file", fs.ErrNotExist},
		{"folder", dir, "no regular file", nil},
		{"empty", write(t, dir, "empty", "\n"), "is required", nil},
		{"two lines", write(t, dir, "two", canary+"\n"+canary+"\n"), "must not hold CR", nil},
		{"large", write(t, dir, "large", strings.Repeat(canary, 1<<18)), "larger than 1048576 bytes", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ami.SecretFile(tc.path)(t.Context())
			e, ok := errors.AsType[*ami.FileError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.path, e.File)
			require.Equal(t, 1, strings.Count(err.Error(), tc.path))
			require.ErrorContains(t, err, tc.says)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			hidden(t, err)
		})
	}
}

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert: cert, key: key, pem: block("CERTIFICATE", der)}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue returns a certificate for a name and its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, k.Public(), a.key)
	require.NoError(t, err)
	b, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	return block("CERTIFICATE", der), block("PRIVATE KEY", b)
}

// serve returns the config of a server that wants a certificate of the same
// authority.
func (a *authority) serve(t *testing.T, name string) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(bytesOf(a.issue(t, name)))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}

func bytesOf(a, b string) (first, second []byte) { return []byte(a), []byte(b) }

// front speaks TLS on the loopback for a fake server, with a config that can be
// changed.
func front(t *testing.T, srv *amitest.Server, config *atomic.Pointer[tls.Config]) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return config.Load(), nil }})
	require.NoError(t, err)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			outside, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer outside.Close()
				if outside.(*tls.Conn).HandshakeContext(t.Context()) != nil {
					return
				}
				inside, err := srv.DialContext(t.Context(), "tcp", srv.Addr())
				if err != nil {
					return
				}
				open.Go(func() { _, _ = io.Copy(inside, outside); inside.Close() })
				_, _ = io.Copy(outside, inside)
			})
		}
	})
	t.Cleanup(func() { l.Close(); srv.Close(); open.Wait() })
	return l.Addr().String()
}

// TestTLSRotation: authority, server and client change their certificates while
// the client runs; it wants no restart, and no half of a broken file.
func TestTLSRotation(t *testing.T) { // D3, H1
	dir := t.TempDir()
	files := ami.TLSFiles{ServerName: "pbx.test", CA: filepath.Join(dir, "ca"), Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	put := func(a *authority) {
		cert, key := a.issue(t, "app")
		write(t, dir, "ca", a.pem)
		write(t, dir, "cert", cert)
		write(t, dir, "key", key)
	}
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	var config atomic.Pointer[tls.Config]
	config.Store(old.serve(t, "pbx.test"))
	put(old)
	srv := amitest.NewServer()
	addr := front(t, srv, &config)
	n := ami.Node{Key: "pbx1", Addr: addr, Username: "admin", Secret: ami.NewSecret("secret"), TLSFunc: files.Config}
	c, err := ami.Dial(t.Context(), n, ami.WithBackoff(20*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond), ami.WithBreaker(1000, time.Second, 1))
	require.NoError(t, err)
	defer c.Close()

	// until waits for an attempt that fails in this way.
	until := func(failed func(error) bool) {
		for change := range c.StateChanges(t.Context()) {
			if change.Reason != nil && failed(change.Reason) {
				return
			}
		}
		t.Fatal("it did not fail so")
	}
	broken := func(file string) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*ami.FileError](err)
			ce, inTLS := errors.AsType[*ami.ConnError](err)
			return ok && inTLS && ce.Op == "tls" && e.File == file
		}
	}
	reset := func() {
		for _, s := range srv.Sessions() {
			s.Reset()
		}
	}
	config.Store(next.serve(t, "pbx.test"))
	reset()
	until(func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok })
	write(t, dir, "ca", next.pem+next.pem[:100])
	until(broken(files.CA))
	write(t, dir, "ca", next.pem)
	until(func(err error) bool { return strings.Contains(err.Error(), "certificate") }) // ours is of the old authority
	cert, key := next.issue(t, "app")
	write(t, dir, "cert", cert)
	until(broken(files.Certificate)) // the key is that of another certificate
	write(t, dir, "key", key)
	require.NoError(t, c.Ready(t.Context()))

	config.Store(next.serve(t, "other.test"))
	reset()
	until(func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok })
}

func TestTLSFiles(t *testing.T) { // D3, H1
	dir := t.TempDir()
	a := newAuthority(t, "ca")
	cert, key := a.issue(t, "app")
	_, strange := a.issue(t, "app")
	file := func(text string) string {
		f, err := os.CreateTemp(dir, "f")
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		return f.Name()
	}
	ca := file("a comment\n" + a.pem + cert)
	damaged := strings.Replace(a.pem, "MII", "M*I", 1)

	config, err := ami.TLSFiles{CA: ca, Certificate: file(cert + a.pem), Key: file(key), ServerName: "x", MinVersion: tls.VersionTLS13}.Config(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS13, config.MinVersion)
	require.Equal(t, "x", config.ServerName)
	require.Len(t, config.Certificates, 1)
	require.Len(t, config.Certificates[0].Certificate, 2)
	require.False(t, config.InsecureSkipVerify)
	config, err = ami.TLSFiles{}.Config(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS12, config.MinVersion)
	require.Nil(t, config.RootCAs, "those of the system")

	for _, tc := range []struct {
		name  string
		files ami.TLSFiles
		says  string
	}{
		{"missing", ami.TLSFiles{CA: filepath.Join(dir, "missing")}, "no such file"},
		{"empty", ami.TLSFiles{CA: file("")}, "no certificate"},
		{"no PEM", ami.TLSFiles{CA: file("MIIB")}, "no certificate"},
		{"key for an authority", ami.TLSFiles{CA: file(key)}, "PRIVATE KEY"},
		{"cut off", ami.TLSFiles{CA: file(a.pem + cert[:200])}, "cut off"},
		{"damaged in the middle", ami.TLSFiles{CA: file(damaged + a.pem)}, "damaged"},
		{"no certificate in it", ami.TLSFiles{CA: file(block("CERTIFICATE", []byte("x")))}, "certificate 1"},
		{"no key", ami.TLSFiles{Certificate: file(cert), Key: file("")}, "PEM"},
		{"missing key", ami.TLSFiles{Certificate: file(cert), Key: filepath.Join(dir, "missing")}, "no such file"},
		{"missing certificate", ami.TLSFiles{Certificate: filepath.Join(dir, "missing"), Key: file(key)}, "no such file"},
		{"strange key", ami.TLSFiles{Certificate: file(cert), Key: file(strange)}, "match"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, err := tc.files.Config(t.Context())
			require.Nil(t, config)
			e, ok := errors.AsType[*ami.FileError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, []string{tc.files.CA, tc.files.Certificate, tc.files.Key}, e.File)
			require.ErrorContains(t, err, tc.says)
		})
	}
	for field, files := range map[string]ami.TLSFiles{
		"TLSFiles.Key":         {Certificate: "x"},
		"TLSFiles.Certificate": {Key: "x"},
		"TLSFiles.MinVersion":  {MinVersion: tls.VersionTLS11},
	} {
		_, err := files.Config(t.Context())
		e, ok := errors.AsType[*ami.ConfigError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, field, e.Key)
	}
	_, err = ami.TLSFiles{CA: ca}.Config(cancelled(t))
	require.ErrorIs(t, err, context.Canceled)
}

// TestDefaultPortOfTLSFunc: as with TLS.
func TestDefaultPortOfTLSFunc(t *testing.T) { // D3
	n := ami.Node{Key: "a", Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s"), TLSFunc: ami.TLSFiles{}.Config}
	c, err := ami.New(n, ami.WithDialer((&net.Dialer{}).DialContext))
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1:5039", c.Node().Addr)
	require.NoError(t, c.Close())
}

// TestContentInPlaceOfAFile: a key that stands where the name of its file belongs
// is not shown.
func TestContentInPlaceOfAFile(t *testing.T) { // G2, H1
	const pem = "-----BEGIN EC PRIVATE KEY-----\ncanary\n-----END EC PRIVATE KEY-----\n"
	_, err := ami.SecretFile(pem)(t.Context())
	require.ErrorContains(t, err, "must be the name of a file")
	require.NotContains(t, err.Error(), "canary")
	for _, f := range []ami.TLSFiles{{CA: pem}, {Certificate: pem, Key: "k"}} {
		_, err := f.Config(t.Context())
		require.ErrorContains(t, err, "must be the name of a file")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "canary")
	}
}

// TestErrorOfTLSFuncIsRedacted: as that of a SecretFunc is.
func TestErrorOfTLSFuncIsRedacted(t *testing.T) { // G2
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		n := node(srv)
		cause := errors.New("vault: https://vault.example/?token=canary: 403")
		n.TLSFunc = func(context.Context) (*tls.Config, error) { return nil, cause }
		_, err := ami.Dial(t.Context(), n, ami.WithDialer(srv.DialContext))
		require.ErrorIs(t, err, cause)
		require.NotContains(t, err.Error(), "canary")
	})
}
