package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/apn/ami/bridge/internal/atomicfile"
)

// A last is the last record of a node that is known to be in the spool. Seq 0 says
// that there may be some of the instance, and none is known.
type last struct {
	Instance string    `json:"instance"`
	Epoch    uint64    `json:"epoch"`
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
}

func (l last) id(node string) string {
	return (&Record{Instance: l.Instance, Node: node, Epoch: l.Epoch, Seq: l.Seq}).ID()
}

// A nodeLast is that of a node.
type nodeLast struct {
	node string
	last last
}

// A memory knows the last record of each node beyond the end of the process: in a
// file, which may be a moment behind the spool and is never ahead of it. So a gap
// after a restart may begin a little too early, and never too late.
type memory struct {
	file string
	log  *slog.Logger

	sync   func() error // forces to the disk what the spool has
	saving sync.Mutex   // one at a time: a later file has later records

	mu    sync.Mutex
	nodes map[string]last
	dirty chan struct{} // one slot
}

// memoryEvery bounds how often the file is written.
const memoryEvery = 200 * time.Millisecond

// openMemory reads the file. One that cannot be read is an error: without it
// nobody would be told that an earlier instance has missed anything.
func openMemory(file string, sync func() error, log *slog.Logger) (*memory, error) {
	m := &memory{file: file, sync: sync, log: log, nodes: make(map[string]last), dirty: make(chan struct{}, 1)}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m.nodes)
	}
	if err != nil {
		return nil, fmt.Errorf("bridge: what is known of earlier instances: %s: %w", file, err)
	}
	return m, nil
}

// of returns the last record of a node, nil if nothing is known of it.
func (m *memory) of(node string) *last {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.nodes[node]
	if !ok {
		return nil
	}
	return &l
}

// announce is told what the spool will have. Of a node of which nothing is known,
// the file says when announce returns that there was a hold: after that any crash
// finds it.
func (m *memory) announce(lasts []nodeLast) error {
	fresh := false
	m.mu.Lock()
	for _, l := range lasts {
		if _, known := m.nodes[l.node]; !known {
			m.nodes[l.node] = last{Instance: l.last.Instance, Epoch: 1, Time: l.last.Time}
			fresh = true
		}
	}
	m.mu.Unlock()
	if fresh {
		return m.save()
	}
	return nil
}

// note keeps what the spool has.
func (m *memory) note(lasts []nodeLast) {
	m.mu.Lock()
	for _, l := range lasts {
		m.nodes[l.node] = l.last
	}
	m.mu.Unlock()
	select {
	case m.dirty <- struct{}{}:
	default: // told already
	}
}

// keep writes the file now and then until ctx ends, and once more.
func (m *memory) keep(ctx context.Context) {
	failing := false
	save := func() {
		err := m.save()
		if err != nil && !failing { // once, not at each attempt
			m.log.Error("what the next instance must know of this one was not saved", "error", err)
		}
		if failing = err != nil; failing {
			select {
			case m.dirty <- struct{}{}: // again, also if there is nothing new
			default:
			}
		}
	}
	timer := time.NewTimer(memoryEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			save()
			return
		case <-m.dirty:
		}
		save()
		timer.Reset(memoryEvery)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// save replaces the file.
func (m *memory) save() error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	nodes := maps.Clone(m.nodes)
	m.mu.Unlock()
	data, err := json.Marshal(nodes)
	if err != nil {
		return err
	}
	if err := m.sync(); err != nil { // what the file says, the death of the machine must not take
		return err
	}
	// Synced: the next start refuses a file that the death of the machine has left
	// empty.
	return atomicfile.Replace(m.file, data, true)
}
