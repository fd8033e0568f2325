package conn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// batchMost bounds the bytes of one write. 16 KiB made writes 31 times cheaper
// than one each, and more gained nothing.
const batchMost = 16 << 10

// recordMost is the largest TLS record that Asterisk can take. Its line reader
// (main/manager.c:get_input) polls the raw socket and never asks OpenSSL for
// what it has already decrypted; it reads at most 1024 bytes, and only when its
// buffer holds no whole line. A record that is larger, or that ends within a
// line, leaves bytes where nobody looks for them: the session hangs until more
// arrive.
const recordMost = 1024

// batches are shared by all connections: an idle one must not hold 16 KiB.
var batches = sync.Pool{New: func() any { return new([batchMost]byte) }}

// writeLoop is the writer goroutine. It writes as soon as there is something to
// write and takes along whatever else is waiting: batches form by themselves
// when the line is busy and add no latency when it is not.
func (c *Conn) writeLoop() {
	for {
		select {
		case <-c.done: // closed wins: nothing more is taken
			return
		default:
		}
		select {
		case o := <-c.outbound:
			if err := c.writeBatch(o); err != nil {
				c.Close(err)
				return
			}
		case <-c.done:
			return
		}
	}
}

// writeBatch writes first and what waits behind it.
func (c *Conn) writeBatch(first *Out) error {
	next := c.receive()
	if next == nil { // alone: no copy
		if !c.claim(first) {
			return nil
		}
		return c.write(first.Bytes)
	}
	buf := batches.Get().(*[batchMost]byte)
	defer batches.Put(buf)
	batch := buf[:0]
	for o := first; o != nil; {
		if len(batch)+len(o.Bytes) > batchMost {
			if err := c.write(batch); err != nil {
				// o stays unclaimed: its owner revokes it and knows that not a
				// byte of it was written.
				return err
			}
			batch = buf[:0]
		}
		if c.claim(o) {
			if len(o.Bytes) > batchMost {
				if err := c.write(o.Bytes); err != nil {
					return err
				}
			} else {
				batch = append(batch, o.Bytes...)
			}
		}
		if o, next = next, nil; o == nil && len(batch) < batchMost {
			o = c.receive()
		}
	}
	return c.write(batch)
}

// receive takes the next action off the queue, nil if none waits.
func (c *Conn) receive() *Out {
	select {
	case o := <-c.outbound:
		return o
	default:
		return nil
	}
}

// claim gives the action's room back and reports whether it is to be written.
func (c *Conn) claim(o *Out) bool {
	c.queued.Add(-int64(len(o.Bytes)))
	c.signalRoom()
	return o.Take()
}

// write sends whole actions within the write timeout.
func (c *Conn) write(actions []byte) error {
	if len(actions) == 0 {
		return nil
	}
	if err := c.net.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout)); err != nil {
		return err
	}
	err := c.send(actions)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w (%v)", ErrWriteTimeout, c.cfg.WriteTimeout)
	}
	return err
}

// send writes whole actions, over TLS in records that Asterisk can take.
func (c *Conn) send(actions []byte) error {
	if !c.cfg.Records {
		_, err := c.net.Write(actions)
		return err
	}
	for len(actions) > 0 {
		var record []byte
		record, actions = cutRecord(actions)
		if _, err := c.net.Write(record); err != nil {
			return err
		}
	}
	return nil
}

// cutRecord splits off the longest run of whole lines that fits one record.
func cutRecord(b []byte) (record, rest []byte) {
	if len(b) <= recordMost {
		return b, nil
	}
	// Every line of an encoded action fits: frame.MaxActionLine.
	n := bytes.LastIndexByte(b[:recordMost], '\n') + 1
	return b[:n], b[n:]
}
