package spool

import (
	"encoding/binary"
	"hash/crc32"
)

// An Entry is what the spool keeps.
type Entry struct {
	Group string // of which losses are counted; UTF-8, at most 65,535 bytes
	Data  []byte
}

// A Position is the place of an entry in the stream: 1, 2, 3 …, for as long as the
// directory lives.
type Position uint64

// On disk, little-endian:
//
//	crc32c of all that follows  uint32
//	length of data              uint32
//	position                    uint64
//	length of group             uint16
//	group, data
const (
	entryHeader = 18
	maxGroup    = 1<<16 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (e *Entry) size() int { return entryHeader + len(e.Group) + len(e.Data) }

func appendEntry(b []byte, pos Position, e *Entry) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
	b = binary.LittleEndian.AppendUint64(b, uint64(pos))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Group)))
	b = append(b, e.Group...)
	b = append(b, e.Data...)
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// A stored entry, whose bytes lie in those of its block.
type stored struct {
	pos         Position
	group, data []byte
	size        int
}

// A scan goes through the entries of a block: a segment, or a part of one.
type scan struct {
	buf     []byte
	off     int      // behind the last sound entry
	prev    Position // of the last sound entry; at first, the one before the block
	trusted bool     // it was never on disk
}

// next returns the next sound entry. Bytes that are none are skipped: each entry
// has its position, so that one behind a damaged place is known again.
func (s *scan) next() (stored, bool) {
	for off := s.off; off+entryHeader <= len(s.buf); off++ {
		if e, ok := s.at(off); ok {
			s.off, s.prev = off+e.size, e.pos
			return e, true
		}
	}
	return stored{}, false
}

func (s *scan) at(off int) (e stored, ok bool) {
	b := s.buf[off:]
	data, group := int64(binary.LittleEndian.Uint32(b[4:])), int64(binary.LittleEndian.Uint16(b[16:]))
	e.pos = Position(binary.LittleEndian.Uint64(b[8:]))
	size := entryHeader + group + data
	if size > int64(len(b)) || e.pos <= s.prev || uint64(e.pos-s.prev) > uint64(len(s.buf)) {
		return e, false
	}
	e.size = int(size)
	if !s.trusted && crc32.Checksum(b[4:e.size], castagnoli) != binary.LittleEndian.Uint32(b) {
		return e, false
	}
	e.group = b[entryHeader : entryHeader+group]
	e.data = b[entryHeader+group : e.size : e.size]
	return e, true
}
