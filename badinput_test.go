package ami_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
)

// TestBadPeers dials what is no Asterisk, or not as configured, over real
// sockets: each gives a typed error that says what to do (B5, D2, D3, D6).
func TestBadPeers(t *testing.T) {
	plain := amitest.NewServer(amitest.WithTCP())
	defer plain.Close()
	secure := amitest.NewServer(amitest.WithTCP(), amitest.WithTLS())
	defer secure.Close()
	expired := amitest.NewServer(amitest.WithTCP(), amitest.WithTLS(), amitest.WithCertificate(expiredCertificate(t)))
	defer expired.Close()

	for _, tc := range []struct {
		name string
		addr string
		tls  *tls.Config
		op   string
		says string
	}{
		{"refused port", "127.0.0.1:1", nil, "dial", "check that Asterisk runs"},
		{"TLS against a plain port", plain.Addr(), &tls.Config{MinVersion: tls.VersionTLS12}, "tls", "does not speak TLS"},
		{"plain against a TLS port", secure.Addr(), nil, "banner", "may want TLS"},
		{"unknown certificate", secure.Addr(), &tls.Config{MinVersion: tls.VersionTLS12}, "tls", "RootCAs"},
		{"expired certificate", expired.Addr(), &tls.Config{MinVersion: tls.VersionTLS12}, "tls", "certificate"},
		{"no such host", "no-such-host.invalid:5038", nil, "resolve", "host name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			patience := time.Minute
			if tc.op == "banner" { // which never comes
				patience = 3 * time.Second
			}
			_, err := ami.Dial(t.Context(), ami.Node{Key: "pbx1", Addr: tc.addr, Username: "admin", Secret: ami.NewSecret("canary-secret"), TLS: tc.tls},
				ami.WithDialTimeout(patience), ami.WithResolver(noResolver{}))
			e, ok := errors.AsType[*ami.ConnError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.op, e.Op, "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, "pbx1")
			require.NotContains(t, err.Error(), "canary")
		})
	}
}

type noResolver struct{}

func (noResolver) LookupHost(_ context.Context, host string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func expiredCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-48 * time.Hour),
		NotAfter:     time.Now().Add(-24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLS sends an action of many kilobytes and a hundred at once: Asterisk
// stalls on TLS records that are longer than its buffer, and so does the fake.
func TestTLS(t *testing.T) { // D3
	srv := amitest.NewServer(amitest.WithTCP(), amitest.WithTLS())
	defer srv.Close()
	n := node(srv)
	n.TLS = srv.ClientTLS()
	c, err := ami.Dial(t.Context(), n, ami.WithDialTimeout(time.Minute), ami.WithLoginTimeout(time.Minute))
	require.NoError(t, err)
	defer c.Close()
	long := action.UserEvent{UserEvent: "Long"}
	for range 100 {
		long.Headers = append(long.Headers, amitest.F("K", "a value of some length, so that the action has several records"))
	}
	_, err = c.Send(t.Context(), long, ami.Timeout(time.Minute))
	require.NoError(t, err)
	var pending []*ami.Pending
	for range 100 {
		pending = append(pending, c.Start(t.Context(), action.Ping{}, ami.Timeout(time.Minute)))
	}
	for _, p := range pending {
		_, err := p.Result()
		require.NoError(t, err)
	}
}

// TestHangingResolver: a resolver that ignores its context costs its node the
// dial timeout and no more (D6).
func TestHangingResolver(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	_, err := ami.Dial(t.Context(), ami.Node{Key: "pbx1", Addr: "pbx.example:5038", Username: "u", Secret: ami.NewSecret("s")},
		ami.WithDialTimeout(50*time.Millisecond), ami.WithResolver(hanging(release)))
	e, ok := errors.AsType[*ami.ConnError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "resolve", e.Op)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestHangingResolverIsAskedOnce: one that never answers costs a single
// goroutine, however often the node is tried, and is asked again once it has
// answered (A4, D6).
func TestHangingResolverIsAskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, srv *amitest.Server) {
		n := node(srv)
		n.Addr = "pbx.example:5038"
		r := &stuckResolver{release: make(chan struct{})}
		c, err := ami.New(n, ami.WithDialer(srv.DialContext), ami.WithResolver(r))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		time.Sleep(5 * time.Minute) // fake
		require.Greater(t, c.Stats().Failures, uint64(10))
		require.EqualValues(t, 1, r.asked.Load())
		close(r.release)
		require.NoError(t, c.Ready(t.Context()))
		require.Greater(t, r.asked.Load(), int64(1))
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
}

// A stuckResolver ignores its context until it is released.
type stuckResolver struct {
	release chan struct{}
	asked   atomic.Int64
	open    atomic.Int64 // questions without answer
	most    atomic.Int64 // of them
}

func (r *stuckResolver) LookupHost(context.Context, string) ([]string, error) {
	r.asked.Add(1)
	r.most.Store(max(r.most.Load(), r.open.Add(1)))
	defer r.open.Add(-1)
	<-r.release
	return []string{"10.0.0.1"}, nil
}

type hanging chan struct{}

func (h hanging) LookupHost(context.Context, string) ([]string, error) {
	<-h
	return nil, errors.New("too late")
}
