// Package embedded runs a NATS server with JetStream inside the process of a
// bridge, for sites that have no broker.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A Server is a NATS server.
type Server struct{ nats *server.Server }

// ErrNotReady is what Start returns if the server does not take connections in
// time.
var ErrNotReady = errors.New("embedded: the NATS server did not get ready within 10s")

const patience = 10 * time.Second

// Start starts a server that keeps its streams in dir and listens on addr, a host
// and a port; port 0 takes a free one. It knows no users: keep addr on the
// loopback, or run a NATS server of your own.
func Start(dir, addr string) (*Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("embedded: address %s: %w", addr, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("embedded: address %s: the port must be a number: %w", addr, err)
	}
	n := int(number)
	if n == 0 {
		n = server.RANDOM_PORT
	}
	o := &server.Options{
		ServerName: "ami-bridge", Host: host, Port: n, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Clean(dir), DisableJetStreamBanner: true,
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	go s.Start()
	if !s.ReadyForConnections(patience) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, ErrNotReady
	}
	return &Server{nats: s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.nats.ClientURL() }

// InProcess is the option of a connection that needs no socket.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s.nats) }

// Close ends the server and waits for it.
func (s *Server) Close() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
