package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// cuts is the bound that keeps what it reads.
const cuts = "bound: copy and cut"

// bounds are what any client must do at least.
func bounds() []Library {
	scan := func(_ []byte, onEvent func(string)) { onEvent("") }
	keep := func(message []byte, onEvent func(string)) { onEvent(string(message)) }
	cut := func(message []byte, onEvent func(string)) {
		pairs := cutPairs(message)
		if pairs[0].value == eventName {
			onEvent(channelOf(pairs))
		}
	}
	return []Library{
		{Name: "raw: bare read loop", Bound: true, Dial: dialBound(nil, false)},
		{Name: "bound: scan", Bound: true, Dial: dialBound(scan, false), Parse: parseBound(scan)},
		{Name: "bound: scan and copy", Bound: true, Dial: dialBound(keep, false), Parse: parseBound(keep)},
		{Name: cuts, Bound: true, Dial: dialBound(cut, false), Parse: parseBound(cut)},
		{Name: "bound: copy, cut, channel", Bound: true, Dial: dialBound(cut, true)},
	}
}

type pair struct{ key, value string }

// cutPairs copies a message into one string and cuts it.
func cutPairs(message []byte) []pair {
	text := string(message)
	pairs := make([]pair, 0, strings.Count(text, "\n"))
	for line := range strings.SplitSeq(text, "\r\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			pairs = append(pairs, pair{key, value})
		}
	}
	return pairs
}

func channelOf(pairs []pair) string {
	for _, p := range pairs {
		if p.key == "Channel" {
			return p.value
		}
	}
	return ""
}

func parseBound(each func([]byte, func(string))) func([]byte) int {
	return func(stream []byte) int {
		n := 0
		for len(stream) > 0 {
			end := bytes.Index(stream, []byte("\r\n\r\n")) + 4
			each(stream[:end], func(string) {})
			stream = stream[end:]
			n++
		}
		return n
	}
}

// dialBound logs in by hand. Until Ping everything is read as answers of the
// login; then a goroutine takes what comes. each gets the messages, nil: the
// bytes are counted only.
func dialBound(each func([]byte, func(string)), channel bool) func(context.Context, string, func(string)) (Session, error) {
	return func(ctx context.Context, addr string, onEvent func(string)) (Session, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		s := &boundSession{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), each: each, channel: channel, onEvent: onEvent}
		if _, err := s.in.ReadString('\n'); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, "Action: Login\r\nUsername: user\r\nSecret: secret\r\n\r\n"); err != nil {
			return nil, err
		}
		err = s.skipMessage()
		return s, err
	}
}

// A boundSession has no goroutine of its own: its user reads with Events, or
// sends and reads.
type boundSession struct {
	conn    net.Conn
	in      *bufio.Reader
	each    func([]byte, func(string))
	channel bool
	onEvent func(string)

	sending sync.Mutex
	waiting chan chan struct{} // callers of many, in the order of sending
}

func (s *boundSession) skipMessage() error {
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			return nil
		}
	}
}

var rawPing = []byte("Action: Ping\r\nActionID: pbx1:0123456789ab:1000\r\n\r\n")

func (s *boundSession) Ping(context.Context) error {
	if s.waiting != nil {
		return s.pingAmongMany()
	}
	if _, err := s.conn.Write(rawPing); err != nil {
		return err
	}
	return s.skipMessage()
}

// Many lets many goroutines ping: a lock for writing, and a reader that wakes
// them in order.
func (s *boundSession) Many(callers int) {
	s.waiting = make(chan chan struct{}, callers)
	go func() {
		for s.skipMessage() == nil {
			close(<-s.waiting)
		}
	}()
}

func (s *boundSession) pingAmongMany() error {
	done := make(chan struct{})
	s.sending.Lock()
	s.waiting <- done
	_, err := s.conn.Write(rawPing)
	s.sending.Unlock()
	if err == nil {
		<-done
	}
	return err
}

// Command reads to the end of the message and keeps nothing, or all as one string
// cut into lines.
func (s *boundSession) Command(context.Context) (int, error) {
	if _, err := io.WriteString(s.conn, "Action: Command\r\nCommand: x\r\n\r\n"); err != nil {
		return 0, err
	}
	if s.each == nil {
		return 0, s.skipMessage()
	}
	var message []byte
	for !bytes.HasSuffix(message, []byte("\r\n\r\n")) {
		message = slices.Grow(message, 16<<10)
		n, err := s.in.Read(message[len(message):cap(message)])
		if err != nil {
			return 0, err
		}
		message = message[:len(message)+n]
	}
	kept := strings.Split(string(message), "\r\n")
	return len(kept) - 4, nil // two headers before, two ends behind
}

// Events reads n events and the answer to a Ping before them.
func (s *boundSession) Events(n int) error {
	if s.each == nil {
		buf := make([]byte, 16<<10)
		for left := n * len(eventText()); left > 0; {
			got, err := s.in.Read(buf)
			if err != nil {
				return err
			}
			left -= got
		}
		for range n {
			s.onEvent("")
		}
		return nil
	}
	take := s.each
	if s.channel {
		messages := make(chan []pair, 256)
		var consuming sync.WaitGroup
		consuming.Go(func() {
			for m := range messages {
				s.onEvent(channelOf(m))
			}
		})
		defer consuming.Wait()
		defer close(messages)
		take = func(message []byte, _ func(string)) { messages <- cutPairs(message) }
	}
	return s.messages(n, take)
}

// messages finds n messages in the stream.
func (s *boundSession) messages(n int, take func([]byte, func(string))) error {
	buf := make([]byte, 0, 64<<10)
	for n > 0 {
		free := buf[len(buf):cap(buf)]
		got, err := s.in.Read(free)
		if err != nil {
			return err
		}
		buf = buf[:len(buf)+got]
		rest := buf
		for n > 0 {
			end := bytes.Index(rest, []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			take(rest[:end+4], s.onEvent)
			rest = rest[end+4:]
			n--
		}
		buf = buf[:copy(buf[:cap(buf)], rest)]
	}
	return nil
}

func (s *boundSession) Close() { _ = s.conn.SetDeadline(time.Now()); _ = s.conn.Close() }
