package conn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apn/ami/frame"
)

// Errors of a Conn. They come wrapped in what the layers above know.
var (
	// ErrFull reports that the outbound queue has no room.
	ErrFull = errors.New("conn: outbound queue is full")
	// ErrGivenUp reports that an action was given up before there was room.
	ErrGivenUp = errors.New("conn: given up before there was room")
	// ErrWriteTimeout reports that the peer did not take bytes in time.
	ErrWriteTimeout = errors.New("conn: write timeout: the peer does not read")
)

// Config is what a Conn needs to know. New does not check it: the client's
// options do.
type Config struct {
	Limits       frame.Limits  // of the reader
	QueueEntries int           // actions that may wait to be written
	QueueBytes   int64         // and their bytes
	WriteTimeout time.Duration // for one batch of actions

	// Records keeps each write within one TLS record that Asterisk can take;
	// see cutRecord. Set it if the socket is a TLS connection.
	Records bool

	// The three functions are called by the reader goroutine, in the order of
	// the stream, and must not block: Asterisk cuts off a client that does not
	// read (main/iostream.c:ast_iostream_write).

	// OnFrame takes each frame.
	OnFrame func(*frame.Frame)
	// OnMalformed takes each discarded frame. An error ends the Conn with it.
	OnMalformed func(*frame.FormatError) error
	// OnQuiet is called before each read that may wait, thus after every batch
	// of frames that arrived together. Before Start the goroutine that logs in
	// calls it.
	OnQuiet func()
}

// A Conn is one socket with its reader and writer. Enqueue, Close, Done, Err,
// Wait, Depth and LastRead may be called from any goroutine at any time.
// Banner, Next and Write belong to the one goroutine that logs in, before it
// calls Start.
type Conn struct {
	// Immutable.
	net net.Conn
	cfg Config

	// Owned by the goroutine that logs in, then by the reader.
	reader *frame.Reader

	// Callers → writer. Never closed: it has many senders; they and the writer
	// end by done.
	outbound chan *Out
	queued   atomic.Int64 // bytes of what is in outbound

	// Writer → callers in EnqueueWait: there may be room. One slot; who finds
	// room passes it on. Never closed, as above.
	room chan struct{}

	// Time of the last bytes read, since made: that keeps the monotonic clock,
	// and setting the wall clock looks like no silence.
	made     time.Time
	lastRead atomic.Int64

	end     sync.Once
	err     error         // written by end, read after done
	done    chan struct{} // closed by end
	running sync.WaitGroup
}

// New makes a Conn of a connected socket and owns it from then on. It starts
// nothing.
func New(socket net.Conn, cfg Config) *Conn {
	c := &Conn{
		net:      socket,
		cfg:      cfg,
		outbound: make(chan *Out, cfg.QueueEntries),
		room:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		made:     time.Now(),
	}
	c.reader = frame.NewReader((*source)(c), cfg.Limits)
	return c
}

// SetDeadline bounds Banner, Next and Write before Start. Start removes it.
func (c *Conn) SetDeadline(t time.Time) error { return c.net.SetDeadline(t) }

// Banner reads the greeting; see frame.Reader.Banner.
func (c *Conn) Banner() (string, error) { return c.reader.Banner() }

// Next reads one frame; see frame.Reader.Next.
func (c *Conn) Next() (*frame.Frame, error) { return c.reader.Next() }

// Write sends encoded actions at once, within the deadline that SetDeadline has
// set.
func (c *Conn) Write(actions []byte) error { return c.send(actions) }

// Start hands the socket to the reader and the writer goroutine.
func (c *Conn) Start() {
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		c.Close(err)
	}
	c.running.Go(c.read)
	c.running.Go(c.writeLoop)
}

// Close ends the Conn with cause, unless something has ended it before. It does
// not wait: Wait does.
func (c *Conn) Close(cause error) {
	c.end.Do(func() {
		c.err = cause
		// done first: reader and writer must find it closed when the closed
		// socket fails under them, and callers that wait for room must leave.
		close(c.done)
		socket := c.net
		if t, ok := socket.(*tls.Conn); ok {
			// Closing it writes to it, for up to 5 s if the peer does not
			// read, and Asterisk has no use for the good-bye.
			socket = t.NetConn()
		}
		// The error of closing a socket that is given up concerns nobody.
		_ = socket.Close()
	})
}

// Done is closed when the Conn has ended. Its goroutines may still be about to
// return.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns what ended the Conn; nil before Done is closed.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Wait returns when both goroutines have. No callback runs after it.
func (c *Conn) Wait() { c.running.Wait() }

// Depth returns how many actions, and how many bytes of them, wait to be
// written.
func (c *Conn) Depth() (entries int, bytes int64) { return len(c.outbound), c.queued.Load() }

// LastRead returns when bytes came last.
func (c *Conn) LastRead() time.Time { return c.made.Add(time.Duration(c.lastRead.Load())) }

// read is the reader goroutine.
func (c *Conn) read() {
	for {
		f, err := c.reader.Next()
		if err == nil {
			c.cfg.OnFrame(f)
			continue
		}
		if malformed, ok := errors.AsType[*frame.FormatError](err); ok {
			if err = c.cfg.OnMalformed(malformed); err == nil {
				continue
			}
		}
		c.cfg.OnQuiet() // what came before the error must not be lost
		c.Close(err)
		return
	}
}

// source is the socket as the frame reader sees it.
type source Conn

func (s *source) Read(p []byte) (int, error) {
	s.cfg.OnQuiet()
	n, err := s.net.Read(p)
	if n > 0 {
		s.lastRead.Store(int64(time.Since(s.made)))
	}
	return n, err
}

var _ io.Reader = (*source)(nil)
