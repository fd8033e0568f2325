// Package embedded runs a NATS server with JetStream inside the process, for a
// bridge that has no other broker. It keeps its data in a directory that it alone
// uses. Unless it is given a port, nothing outside of the process can connect.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/apn/ami"
)

// Defaults of Options.
const (
	DefaultMaxStore       = 10 << 30
	DefaultMaxMemory      = 64 << 20
	DefaultMaxConnections = 256
	DefaultSyncInterval   = 10 * time.Second
)

// AnyPort lets the server choose a free port.
const AnyPort = server.RANDOM_PORT

// startTime bounds how long the server may take to recover its streams.
const startTime = 2 * time.Minute

// Options of a server. Only Dir is needed.
type Options struct {
	Dir string // is made if it is not there; for this server alone

	// Port on 127.0.0.1, for services on this machine. 0: none. AnyPort: a free
	// one, which URL tells.
	Port     int
	User     string     // that every connection must give, the bridge's own as well; "": none
	Password ami.Secret // of User

	MaxStore       int64 // bytes on disk, of all streams; default DefaultMaxStore
	MaxMemory      int64 // bytes of streams in memory; default DefaultMaxMemory
	MaxConnections int   // default DefaultMaxConnections

	// SyncInterval is how much of the newest data may be lost when the machine
	// dies (not when the process does). Default DefaultSyncInterval. Negative:
	// nothing; each message is synced before it is confirmed, which takes as long
	// as the disk needs.
	SyncInterval time.Duration

	Logger *slog.Logger // default: none
}

// A TakenError reports that another process, or another server of this one, uses
// the port or the directory.
type TakenError struct {
	What  string // "port" or "directory"
	Value string
	Err   error // why, if the system says more
}

func (e *TakenError) Error() string {
	return "embedded: " + e.What + " " + e.Value + " is in use"
}

// Unwrap returns Err.
func (e *TakenError) Unwrap() error { return e.Err }

// A Server is one that runs. Its methods may be called from any goroutine.
type Server struct {
	server *server.Server
	lock   *flock.Flock
	port   bool
}

// Start starts a server and returns when it serves. The error is *ami.ConfigError
// for Options that cannot be, *TakenError for a port or directory in use, and
// otherwise tells what the directory or the server have against it. If ctx ends
// first, Start ends the server and returns the cause.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	if err := o.portIsFree(ctx); err != nil {
		return nil, err
	}
	// The server does not look whether another uses its directory.
	lock := flock.New(filepath.Join(o.Dir, "lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("embedded: lock %s: %w", o.Dir, err)
	case !ok:
		return nil, &TakenError{What: "directory", Value: o.Dir}
	}
	s, err := o.start(ctx)
	if err != nil {
		return nil, errors.Join(err, unlock(lock))
	}
	return &Server{server: s, lock: lock, port: o.Port != 0}, nil
}

func unlock(lock *flock.Flock) error {
	if err := lock.Unlock(); err != nil {
		return fmt.Errorf("embedded: unlock: %w", err)
	}
	return nil
}

func (o *Options) complete() error {
	o.MaxStore = cmp.Or(o.MaxStore, DefaultMaxStore)
	o.MaxMemory = cmp.Or(o.MaxMemory, DefaultMaxMemory)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.SyncInterval = cmp.Or(o.SyncInterval, DefaultSyncInterval)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	refuse := func(key string, value any, reason string) {
		errs = append(errs, &ami.ConfigError{Key: "Options." + key, Value: value, Reason: reason})
	}
	if o.Dir == "" {
		refuse("Dir", `""`, "must be given")
	}
	if o.Port < AnyPort || o.Port > 65535 {
		refuse("Port", o.Port, "must be 1 to 65535, 0 for none, or AnyPort")
	}
	if (o.User == "") != (o.Password.Reveal() == "") {
		refuse("User", o.User, "goes together with Password")
	}
	if o.MaxStore < 0 {
		refuse("MaxStore", o.MaxStore, "must not be negative")
	}
	if o.MaxMemory < 0 {
		refuse("MaxMemory", o.MaxMemory, "must not be negative")
	}
	if o.MaxConnections < 0 {
		refuse("MaxConnections", o.MaxConnections, "must not be negative")
	}
	return errors.Join(errs...)
}

// portIsFree looks at the port beforehand: what the server says is a text.
func (o *Options) portIsFree(ctx context.Context) error {
	if o.Port <= 0 {
		return nil
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &TakenError{What: "port", Value: addr, Err: err}
	case err != nil:
		return fmt.Errorf("embedded: %w", err)
	}
	return l.Close()
}

func (o *Options) start(ctx context.Context) (*server.Server, error) {
	opts := &server.Options{
		ServerName: "ami-bridge",
		Host:       "127.0.0.1",
		Port:       o.Port,
		DontListen: o.Port == 0,
		NoSigs:     true,
		MaxConn:    o.MaxConnections,
		Username:   o.User,
		Password:   o.Password.Reveal(),

		JetStream:          true,
		StoreDir:           o.Dir,
		JetStreamMaxStore:  o.MaxStore,
		JetStreamMaxMemory: o.MaxMemory,
		SyncInterval:       max(o.SyncInterval, 0),
		SyncAlways:         o.SyncInterval < 0,
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	log := &logger{slog: o.Logger}
	s.SetLoggerV2(log, false, false, false)

	// Start returns when the server serves, or when it has said what is wrong. It
	// cannot be interrupted, but is waited for in any case.
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.Start()
	}()
	stop := func() {
		<-started
		s.Shutdown()
		s.WaitForShutdown()
	}
	select {
	case <-started:
	case <-ctx.Done():
		stop()
		return nil, context.Cause(ctx)
	}
	if err := log.fatal(); err != nil {
		stop()
		return nil, err
	}
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		stop()
		return nil, errors.New("embedded: the server does not get ready")
	}
	return s, nil
}

// InProcessConn makes a connection without a network: the server may be given to
// nats.InProcessServer, and as jetstream.Options.Server.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// URL is where services connect; "" without a port.
func (s *Server) URL() string {
	if !s.port {
		return ""
	}
	return s.server.ClientURL()
}

// Close ends the connections, writes what is to be written, and waits until all is
// done. The directory can be used again then.
func (s *Server) Close() error {
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return unlock(s.lock)
}
