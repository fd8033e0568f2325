package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// eventName is the kind of event that floods are made of.
const eventName = "Newexten"

// eventText is one event, of the size that was usual on a real server: 422 bytes.
func eventText() string {
	const text = "Event: Newexten\r\nPrivilege: dialplan,all\r\nTimestamp: 1795419656.589808\r\nChannel: PJSIP/2001-0000002a\r\n" +
		"ChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 2001\r\nCallerIDName: Alice\r\nConnectedLineNum: 2002\r\n" +
		"ConnectedLineName: Bob\r\nLanguage: en\r\nAccountCode: \r\nContext: default\r\nExten: 2002\r\nPriority: 2\r\n" +
		"Uniqueid: pbx1-1795419656.42\r\nLinkedid: pbx1-1795419656.42\r\nExtension: 2002\r\nApplication: Dial\r\nAppData: "
	const size = 422
	end := "\r\n\r\n"
	return text + strings.Repeat("x", size-len(text)-len(end)) + end
}

// lines is how many lines the answer to Command has, lineSize how long each is:
// 1.4 MB in all.
const (
	lines    = 20_000
	lineSize = 62
)

// A serverConfig says what the fake server does beside answering.
type serverConfig struct {
	flood int           // events that the first Ping sets off on each session
	rate  int           // events a second; 0: as fast as the socket takes them
	tls   bool          // speak TLS
	end   time.Duration // how long a flood with a rate lasts, instead of flood
}

// serve is a server process: a fast and simple Asterisk. It prints its address
// and ends with its input.
func serve(cfg serverConfig) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if cfg.tls {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	fmt.Println(l.Addr())
	s := &server{cfg: cfg, started: make(chan struct{})}
	s.output = "Response: Success\r\nMessage: Command output follows\r\n" +
		strings.Repeat("Output: "+strings.Repeat("y", lineSize)+"\r\n", lines) + "\r\n"
	s.batch = strings.Repeat(eventText(), 128)
	go s.accept(l)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type server struct {
	cfg     serverConfig
	output  string
	batch   string
	started chan struct{} // closed by the first Ping
	once    sync.Once
}

func (s *server) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.session(conn)
	}
}

// An act is an action that was read.
type act struct{ name, id string }

// session answers one client, in order, and behind the events as Asterisk does.
func (s *server) session(conn net.Conn) {
	defer func() { _ = conn.Close() }() // nobody is left to tell
	acts := make(chan act, 1024)
	go readActs(conn, acts)
	if _, err := io.WriteString(conn, "Asterisk Call Manager/11.0.0\r\n"); err != nil {
		return
	}
	started, events := s.started, true
	for {
		select {
		case a, ok := <-acts:
			if !ok || s.answer(conn, a) != nil {
				return
			}
			if a.name == "Login, no events" {
				events = false
			}
		case <-started:
			if started = nil; events && s.cfg.flood > 0 {
				if s.flood(conn) != nil {
					return
				}
			}
			if events && s.cfg.rate > 0 {
				if s.paced(conn, acts) != nil {
					return
				}
			}
		}
	}
}

func (s *server) answer(conn net.Conn, a act) error {
	var b bytes.Buffer
	id := ""
	if a.id != "" {
		id = "ActionID: " + a.id + "\r\n"
	}
	switch a.name {
	case "Command":
		b.WriteString("Response: Success\r\n" + id + strings.TrimPrefix(s.output, "Response: Success\r\n"))
	case "Ping":
		b.WriteString("Response: Success\r\n" + id + "Ping: Pong\r\nTimestamp: 1795419656.589808\r\n\r\n")
	default:
		b.WriteString("Response: Success\r\n" + id + "Message: Authentication accepted\r\n\r\n")
	}
	_, err := conn.Write(b.Bytes())
	if a.name == "Ping" {
		s.once.Do(func() { close(s.started) })
	}
	return err
}

// flood writes its events as fast as they are taken.
func (s *server) flood(conn net.Conn) error {
	for left := s.cfg.flood; left > 0; left -= 128 {
		if _, err := io.WriteString(conn, s.batch[:min(left, 128)*len(eventText())]); err != nil {
			return err
		}
	}
	return nil
}

// paced writes events at a rate, and answers between them.
func (s *server) paced(conn net.Conn, acts <-chan act) error {
	start, sent := time.Now(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		if now.Sub(start) > s.cfg.end {
			return nil
		}
		for due := int(now.Sub(start).Seconds() * float64(s.cfg.rate)); sent < due; {
			n := min(due-sent, 128)
			if _, err := io.WriteString(conn, s.batch[:n*len(eventText())]); err != nil {
				return err
			}
			sent += n
		}
		for more := true; more; {
			select {
			case a, ok := <-acts:
				if !ok {
					return io.EOF
				}
				if err := s.answer(conn, a); err != nil {
					return err
				}
			default:
				more = false
			}
		}
	}
	return nil
}

// readActs reads actions until the connection ends.
func readActs(conn net.Conn, acts chan<- act) {
	defer close(acts)
	in, a := bufio.NewReader(conn), act{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimSpace(value)
		switch {
		case key == "":
			acts <- a
			a = act{}
		case strings.EqualFold(key, "Action"):
			a.name = value
		case strings.EqualFold(key, "ActionID"):
			a.id = value
		case strings.EqualFold(key, "Events") && strings.EqualFold(value, "off"):
			a.name = "Login, no events"
		}
	}
}

// selfSigned is a certificate for one run.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
