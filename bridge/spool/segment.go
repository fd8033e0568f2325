package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A segment file begins with a magic, a format version (uint32) and the crc32c of
// both (uint32): these 16 bytes stay what they are in every version. Its name is
// the position of its first entry.
const (
	magic         = "amispool"
	formatVersion = 1
	segmentHeader = 16
	segmentSuffix = ".seg"
)

// A segment is a file of entries. All but first and path are guarded by Spool.mu.
type segment struct {
	first Position
	last  Position // first-1: none. Some in between may be missing.
	path  string
	size  int64
	dirty bool // not synced yet
}

func segmentHead() []byte {
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func segmentPath(dir string, first Position) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
}

// listSegments returns those in dir, the oldest first, with the time of their
// last change. It refuses a directory with one of a newer format.
func listSegments(dir string) (found []*segment, changed []time.Time, err error) {
	files, err := os.ReadDir(dir) // sorted, and so are the positions in the names
	if err != nil {
		return nil, nil, &Error{"open", dir, err}
	}
	for _, f := range files {
		name, isSegment := strings.CutSuffix(f.Name(), segmentSuffix)
		first, err := strconv.ParseUint(name, 10, 64)
		if !isSegment || err != nil || first == 0 || !f.Type().IsRegular() {
			continue
		}
		s := &segment{first: Position(first), path: filepath.Join(dir, f.Name())}
		info, err := f.Info()
		if err != nil {
			return nil, nil, &Error{"open", s.path, err}
		}
		if err := checkVersion(s.path); err != nil {
			return nil, nil, err
		}
		s.size = info.Size()
		found, changed = append(found, s), append(changed, info.ModTime())
	}
	for i, s := range found[:max(len(found)-1, 0)] {
		s.last = found[i+1].first - 1
	}
	return found, changed, nil
}

// checkVersion refuses a file whose header is sound and of a newer version. One
// that is damaged says nothing.
func checkVersion(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &Error{"open", path, err}
	}
	defer func() { _ = f.Close() }() // it was only read
	var b [segmentHeader]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		return &Error{"read", path, err}
	}
	sum := binary.LittleEndian.Uint32(b[12:])
	if crc32.Checksum(b[:12], castagnoli) == sum && binary.LittleEndian.Uint32(b[8:]) > formatVersion {
		return &Error{"open", path, ErrNewer}
	}
	return nil
}

// load reads the file from off up to size, or what there is of it.
func (s *segment) load(off, size int64) ([]byte, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // somebody has removed it: its entries are missing
	}
	if err != nil {
		return nil, &Error{"read", s.path, err}
	}
	defer func() { _ = f.Close() }() // it was only read
	buf := make([]byte, max(size-off, 0))
	n, err := f.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return buf[:n], &Error{"read", s.path, err}
	}
	return buf[:n], nil
}

// recoverTail finds the last entry of the newest segment and cuts off what a
// crash left behind it.
func (s *segment) recoverTail() (cut int64, err error) {
	buf, err := s.load(segmentHeader, s.size)
	if err != nil {
		return 0, err
	}
	entries := scan{buf: buf, prev: s.first - 1}
	for ok := true; ok; {
		_, ok = entries.next()
	}
	s.last = entries.prev
	end := segmentHeader + int64(entries.off)
	cut = s.size - end
	if cut > 0 && s.last >= s.first {
		if err := os.Truncate(s.path, end); err != nil {
			return cut, &Error{"write", s.path, err}
		}
		s.size = end
	}
	return cut, nil
}

// syncPath forces the file to the disk, if it is still there.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &Error{"sync", path, err}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return &Error{"sync", path, err}
	}
	return nil
}

// A chunk is what is written in one go, and kept in memory for the reader. All but
// durable is fixed; that is guarded by Spool.mu.
type chunk struct {
	first, last Position
	buf         []byte
	durable     bool // in a segment
}

// chunkFor returns the index of the first chunk with an entry at or behind pos.
func chunkFor(chunks []*chunk, pos Position) int {
	i, _ := slices.BinarySearchFunc(chunks, pos, func(c *chunk, p Position) int {
		if c.last < p {
			return -1
		}
		return 1
	})
	return i
}

// segmentFor does the same for segments.
func segmentFor(segments []*segment, pos Position) int {
	i, _ := slices.BinarySearchFunc(segments, pos, func(s *segment, p Position) int {
		if s.last < p {
			return -1
		}
		return 1
	})
	return i
}
