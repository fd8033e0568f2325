package amitest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"net"
	"time"
)

// handshakeTimeout is that of ast_iostream_start_tls.
const handshakeTimeout = 30 * time.Second

// certificates holds both sides' TLS configuration.
type certificates struct {
	server, client *tls.Config
}

// newCertificates takes the given certificate, or makes one for the host name,
// localhost and 127.0.0.1.
func newCertificates(host string, given *tls.Certificate) *certificates {
	var cert tls.Certificate
	if given != nil {
		cert = *given
	} else {
		cert = selfSigned(host)
	}
	roots := x509.NewCertPool()
	for _, der := range cert.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			roots.AddCert(c)
		}
	}
	return &certificates{
		server: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		client: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12},
	}
}

func selfSigned(host string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("amitest: " + err.Error())
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "amitest"},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{host, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic("amitest: " + err.Error())
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake does the TLS handshake within its time.
func (s *Session) handshake() bool {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	return s.conn.(*tls.Conn).HandshakeContext(ctx) == nil
}

// records is the transport under TLS. A Read never crosses the border of a TLS
// record, so that the TLS layer holds at most one, as OpenSSL does; and poll
// is poll(2) on the socket, which knows nothing of what the TLS layer holds.
// Together they give Asterisk's stall: get_input polls the socket although the
// rest of a record lies in the TLS layer.
type records struct {
	net.Conn
	first   []byte // read by poll, not yet by Read: at most one byte
	header  [5]byte
	have    int // bytes of the header read
	pending int // bytes of the record body to read
}

// poll waits until the socket is readable.
func (r *records) poll() error {
	if len(r.first) > 0 {
		return nil
	}
	var one [1]byte
	n, err := r.Conn.Read(one[:])
	r.first = append(r.first, one[:n]...)
	return err
}

func (r *records) Read(p []byte) (int, error) {
	limit := r.pending
	if limit == 0 {
		limit = len(r.header) - r.have
	}
	p = p[:min(len(p), limit)]
	n := copy(p, r.first)
	r.first = r.first[n:]
	if n == 0 {
		var err error
		if n, err = r.Conn.Read(p); err != nil {
			return n, err
		}
	}
	if r.pending > 0 {
		r.pending -= n
		return n, nil
	}
	r.have += copy(r.header[r.have:], p[:n])
	if r.have == len(r.header) {
		r.have, r.pending = 0, int(binary.BigEndian.Uint16(r.header[3:]))
	}
	return n, nil
}
