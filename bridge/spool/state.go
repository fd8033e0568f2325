package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/apn/ami/bridge/internal/atomicfile"
)

// The state file has one line of JSON and its crc32c.
const stateName = "state"

type state struct {
	Version int        `json:"version"`
	Acked   Position   `json:"acked"`
	Dropped []*dropped `json:"dropped,omitempty"`
}

var errDamaged = errors.New("damaged")

// readState returns the zero state if there is none.
func readState(dir string) (st state, err error) {
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, &Error{"read", path, err}
	}
	line, sum, _ := strings.Cut(string(b), "\n")
	if sum != checksum(line) || json.Unmarshal([]byte(line), &st) != nil {
		return state{}, &Error{"read", path, errDamaged}
	}
	if st.Version > formatVersion {
		return state{}, &Error{"open", path, ErrNewer}
	}
	for _, d := range st.Dropped {
		if d.Groups == nil {
			d.Groups = make(map[string]*tally)
		}
	}
	return st, nil
}

func checksum(line string) string {
	return fmt.Sprintf("%08x\n", crc32.Checksum([]byte(line), castagnoli))
}

// persist writes the state file. With sync, it is on the disk before it returns.
func (s *Spool) persist(sync bool) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	st := state{Version: formatVersion, Acked: s.acked, Dropped: s.dropped}
	line, err := json.Marshal(&st)
	s.mu.Unlock()
	path := filepath.Join(s.dir, stateName)
	if err == nil {
		err = atomicfile.Replace(path, []byte(string(line)+"\n"+checksum(string(line))), sync)
	}
	if err != nil {
		return &Error{"state", path, err}
	}
	s.mu.Lock()
	s.persisted = st.Acked
	s.mu.Unlock()
	return nil
}
