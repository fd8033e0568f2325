package ami

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apn/ami/internal/redact"
)

// A FileError reports a file of SecretFile or TLSFiles that cannot be used. It
// never holds the content of the file, nor what may be a secret that was put in
// place of its name.
type FileError struct {
	File string // "[redacted]" if it is not to be shown
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("ami: file %s: %v", e.File, e.Err) }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// largestFile bounds what is read: the certificates of all public authorities
// take a quarter of it.
const largestFile = 1 << 20

// readSecret reads a file that is to hold a secret. Its error shows the name only
// if that is one.
func readSecret(name string) ([]byte, error) {
	b, err := readFile(name)
	if e, ok := errors.AsType[*FileError](err); ok && e.File != redact.Mask && redact.FileName(name, "") == redact.Mask {
		return nil, &FileError{File: redact.Mask, Err: fmt.Errorf("%w; the name is not shown: it may be the secret itself", e.Err)}
	}
	return b, err
}

// readFile reads a regular file: opening a pipe could wait for ever.
func readFile(name string) ([]byte, error) {
	if strings.ContainsAny(name, "\r\n") { // a key in place of its file
		return nil, &FileError{File: redact.Mask, Err: errors.New("must be the name of a file, and looks like the content of one, which is not shown")}
	}
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err != nil {
		return nil, &FileError{File: name, Err: withoutPath(err)}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &FileError{File: name, Err: withoutPath(err)}
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(b) > largestFile {
		err = fmt.Errorf("is larger than %d bytes", largestFile)
	}
	if err != nil {
		return nil, &FileError{File: name, Err: withoutPath(err)}
	}
	return b, nil
}

// withoutPath leaves out of err the path that FileError names.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// SecretFile returns a Node.SecretFunc that reads the secret from a regular file
// at each call. One line end at the end of the file is not part of it. Its errors
// are *FileErrors.
func SecretFile(name string) func(context.Context) (Secret, error) {
	return func(context.Context) (Secret, error) {
		b, err := readSecret(name)
		if err != nil {
			return Secret{}, err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		if reason := badLogin(text); reason != "" {
			return Secret{}, &FileError{File: name, Err: errors.New("the secret in it " + reason)}
		}
		return NewSecret(text), nil
	}
}

// TLSFiles makes TLS configs of PEM files. Its method Config is a Node.TLSFunc.
// The zero TLSFiles trusts the authorities of the system.
type TLSFiles struct {
	// CA holds the certificates of the authorities that are trusted in place of
	// those of the system; "" for the latter.
	CA string
	// Certificate and Key are those that the client shows to a server that asks
	// for them. Both or none. The certificate may have its chain behind it.
	Certificate, Key string
	// ServerName is the name that the server's certificate must have; "" for the
	// host of Node.Addr.
	ServerName string
	// MinVersion is tls.VersionTLS12 if it is zero, and nothing below that.
	MinVersion uint16
}

// Config reads the files, all of them at each call: certificates are small and
// connections rare, so that nothing is kept that may be out of date. A file that
// cannot be used is a *FileError, and contradicting fields are a *ConfigError. It
// may be called from any goroutine; it looks at ctx between two files.
func (f TLSFiles) Config(ctx context.Context) (*tls.Config, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: f.ServerName, MinVersion: max(f.MinVersion, tls.VersionTLS12)}
	if f.CA != "" {
		b, err := readFile(f.CA)
		if err != nil {
			return nil, err
		}
		if config.RootCAs, err = authorities(b); err != nil {
			return nil, &FileError{File: f.CA, Err: err}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.Certificate != "" {
		cert, err := f.pair()
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

func (f TLSFiles) check() error {
	switch {
	case f.Certificate != "" && f.Key == "":
		return &ConfigError{Key: "TLSFiles.Key", Value: `""`, Reason: "is required with Certificate"}
	case f.Key != "" && f.Certificate == "":
		return &ConfigError{Key: "TLSFiles.Certificate", Value: `""`, Reason: "is required with Key"}
	case f.MinVersion != 0 && f.MinVersion < tls.VersionTLS12:
		return &ConfigError{Key: "TLSFiles.MinVersion", Value: tls.VersionName(f.MinVersion), Reason: "must be TLS 1.2 or later"}
	default:
		return nil
	}
}

// pair reads the client's certificate and its key.
func (f TLSFiles) pair() (tls.Certificate, error) {
	cert, err := readFile(f.Certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readSecret(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, &FileError{File: f.Certificate, Err: fmt.Errorf("with the key in %s: %w", f.Key, err)}
	}
	return pair, nil
}

// authorities returns the certificates in a PEM file, all or none of them:
// x509.CertPool and pem.Decode skip what they cannot read.
func authorities(b []byte) (*x509.CertPool, error) {
	pool, begun := x509.NewCertPool(), bytes.Count(b, []byte("-----BEGIN "))
	if begun == 0 {
		return nil, errors.New("holds no certificate in PEM form")
	}
	for n := 1; n <= begun; n++ {
		block, rest := pem.Decode(b)
		switch {
		case block == nil:
			return nil, fmt.Errorf("one of its %d certificates is cut off or damaged", begun)
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("holds a %s: only certificates belong there", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n, err)
		}
		pool.AddCert(cert)
		b = rest
	}
	return pool, nil
}
