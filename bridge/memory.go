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

// A last is the last record of a node that is known to be in the spool.
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
	new  bool // the first of its hold
}

// A memory knows the last record of each node beyond the end of the process: in a
// file, which may be a moment behind. So a gap after a restart may begin a little
// too early, and never too late.
type memory struct {
	file string
	log  *slog.Logger

	saving sync.Mutex // one at a time: a later file has later records

	mu    sync.Mutex
	nodes map[string]last
	dirty chan struct{} // one slot
}

// memoryEvery bounds how often the file is written.
const memoryEvery = 200 * time.Millisecond

// openMemory reads the file. One that cannot be read is an error: without it
// nobody would be told that an earlier instance has missed anything.
func openMemory(file string, log *slog.Logger) (*memory, error) {
	m := &memory{file: file, log: log, nodes: make(map[string]last), dirty: make(chan struct{}, 1)}
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

// put is note of what the spool will have before anything else of the node.
func (m *memory) put(node string, l last) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[node] = l
}

// note keeps what the spool is about to have. If a hold is new it is in the file
// when note returns: after that any crash finds that there was one.
func (m *memory) note(lasts []nodeLast) error {
	fresh := false
	m.mu.Lock()
	for _, l := range lasts {
		m.nodes[l.node] = l.last
		fresh = fresh || l.new
	}
	m.mu.Unlock()
	if fresh {
		return m.save()
	}
	select {
	case m.dirty <- struct{}{}:
	default: // told already
	}
	return nil
}

// keep writes the file now and then until ctx ends, and once more.
func (m *memory) keep(ctx context.Context) {
	timer := time.NewTimer(memoryEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			m.saveLogged()
			return
		case <-m.dirty:
		}
		m.saveLogged()
		timer.Reset(memoryEvery)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

func (m *memory) saveLogged() {
	if err := m.save(); err != nil {
		m.log.Error("what the next instance must know of this one was not saved", "error", err)
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
	// Synced: the next start refuses a file that the death of the machine has left
	// empty.
	return atomicfile.Replace(m.file, data, true)
}
