package amitest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// DefaultBuffer is how many bytes each direction of an in-memory connection
// holds before its writer blocks.
const DefaultBuffer = 256 << 10

// Pipe returns the two ends of an in-memory connection. Unlike net.Pipe it is
// buffered: bufSize bytes in each direction (0 means [DefaultBuffer]), so both
// ends may write first and a peer that does not read is noticed only when its
// buffer is full. Closing one end lets the other read the rest and then EOF.
// Deadlines work, also on the clock of a testing/synctest bubble.
func Pipe(bufSize int) (client, server net.Conn) {
	c, s := memPair(bufSize, "client", "server")
	return c, s
}

func memPair(bufSize int, clientAddr, serverAddr string) (client, server *memConn) {
	if bufSize <= 0 {
		bufSize = DefaultBuffer
	}
	up, down := newMemHalf(bufSize), newMemHalf(bufSize)
	client = &memConn{in: down, out: up, local: memAddr(clientAddr), remote: memAddr(serverAddr)}
	server = &memConn{in: up, out: down, local: memAddr(serverAddr), remote: memAddr(clientAddr)}
	for _, c := range []*memConn{client, server} {
		c.closed = make(chan struct{})
		c.readDeadline.expired = make(chan struct{})
		c.writeDeadline.expired = make(chan struct{})
	}
	return client, server
}

// memAddr is an invented host:port.
type memAddr string

func (a memAddr) Network() string { return "tcp" }
func (a memAddr) String() string  { return string(a) }

// memConn is one end of an in-memory connection.
type memConn struct {
	in, out                     *memHalf
	local, remote               memAddr
	readDeadline, writeDeadline deadline
	closeOnce                   sync.Once
	closed                      chan struct{} // closed by Close and Reset of this end
}

// Read returns buffered bytes, waiting for the first.
func (c *memConn) Read(p []byte) (int, error) {
	for {
		if err := c.check(&c.readDeadline); err != nil {
			return 0, c.opError("read", err)
		}
		n, changed, err := c.in.read(p)
		if errors.Is(err, io.EOF) {
			return 0, err
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, c.opError("read", err)
		}
		select {
		case <-changed:
		case <-c.closed:
		case <-c.readDeadline.wait():
		}
	}
}

// Write returns once all of p is buffered.
func (c *memConn) Write(p []byte) (int, error) {
	done := 0
	for {
		if err := c.check(&c.writeDeadline); err != nil {
			return done, c.opError("write", err)
		}
		n, changed, err := c.out.write(p[done:])
		done += n
		if err != nil || done == len(p) {
			return done, c.opError("write", err)
		}
		select {
		case <-changed:
		case <-c.closed:
		case <-c.writeDeadline.wait():
		}
	}
}

// offer writes what there is room for, waits for nothing, and returns how much that
// was.
func (c *memConn) offer(p []byte) int {
	n, _, _ := c.out.write(p) // Write tells the error
	return n
}

// Close ends both directions: the peer reads what is buffered, then EOF.
func (c *memConn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.readDeadline.stop()
		c.writeDeadline.stop()
		c.out.shut(io.EOF, false)
		c.in.shut(syscall.EPIPE, true)
	})
	return nil
}

// Reset ends both directions as a TCP reset does: what is buffered is lost
// and the peer gets ECONNRESET.
func (c *memConn) Reset() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.readDeadline.stop()
		c.writeDeadline.stop()
		c.out.shut(syscall.ECONNRESET, true)
		c.in.shut(syscall.ECONNRESET, true)
	})
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}
func (c *memConn) SetReadDeadline(t time.Time) error  { c.readDeadline.set(t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.writeDeadline.set(t); return nil }

func (c *memConn) check(d *deadline) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-d.wait():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

func (c *memConn) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// memHalf is one direction: a ring that grows up to its limit.
type memHalf struct {
	mu      sync.Mutex
	ring    []byte
	start   int // of the first buffered byte
	used    int
	limit   int
	err     error         // what ends it; io.EOF only for the reader
	changed chan struct{} // closed at the next change; nil while nobody waits
}

func newMemHalf(limit int) *memHalf { return &memHalf{limit: limit} }

func (h *memHalf) read(p []byte) (n int, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(p) && h.used > 0 {
		m := copy(p[n:], h.ring[h.start:min(h.start+h.used, len(h.ring))])
		n += m
		h.start = (h.start + m) % len(h.ring)
		h.used -= m
	}
	if n > 0 {
		h.notify()
		return n, nil, nil
	}
	if h.err != nil {
		return 0, nil, h.err
	}
	return 0, h.wait(), nil
}

func (h *memHalf) write(p []byte) (n int, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		if errors.Is(h.err, io.EOF) { // this end was closed while writing
			return 0, nil, net.ErrClosed
		}
		return 0, nil, h.err
	}
	h.grow(len(p))
	for n < len(p) && h.used < len(h.ring) {
		end := (h.start + h.used) % len(h.ring)
		room := h.ring[end:]
		if end < h.start {
			room = h.ring[end:h.start]
		}
		m := copy(room, p[n:])
		n += m
		h.used += m
	}
	if n > 0 {
		h.notify()
	}
	if n == len(p) {
		return n, nil, nil
	}
	return n, h.wait(), nil
}

// grow makes room for n more bytes, up to the limit: ten thousand idle
// connections shall not cost their full buffers.
func (h *memHalf) grow(n int) {
	need := min(h.used+n, h.limit)
	if need <= len(h.ring) {
		return
	}
	ring := make([]byte, min(max(need, 2*len(h.ring), 512), h.limit))
	m := copy(ring, h.ring[h.start:min(h.start+h.used, len(h.ring))])
	copy(ring[m:h.used], h.ring)
	h.ring, h.start = ring, 0
}

// shut ends the direction; discard also throws its bytes away.
func (h *memHalf) shut(err error, discard bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil || discard {
		h.err = err
	}
	if discard {
		h.used = 0
	}
	h.notify()
}

func (h *memHalf) wait() <-chan struct{} {
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

func (h *memHalf) notify() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// deadline is a point in time that can be moved and waited for.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{} // closed when the deadline has passed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer fired: let it finish, it takes no lock
	}
	d.timer = nil
	passed := isClosed(d.expired)
	if t.IsZero() || time.Until(t) > 0 {
		if passed {
			d.expired = make(chan struct{})
		}
		if !t.IsZero() {
			expired := d.expired
			d.timer = time.AfterFunc(time.Until(t), func() { close(expired) })
		}
		return
	}
	if !passed {
		close(d.expired)
	}
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.timer.Stop() {
		d.timer = nil
	}
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
