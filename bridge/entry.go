package bridge

import (
	"encoding/binary"
	"errors"
	"time"
)

// The form of a record in the spool: a byte for the form and one for the kind,
// the numbers as varints, the texts with their lengths before them, and the
// payload, which takes the rest.
const entryForm = 1

// errEntry reports an entry of the spool that is no record: of another version
// of this package, or damaged in a way that its checksum did not see.
var errEntry = errors.New("bridge: an entry of the spool is no record")

// appendEntry appends all of r but its payload.
func appendEntry(dst []byte, r *Record) []byte {
	dst = append(dst, entryForm, byte(r.Kind))
	dst = binary.AppendUvarint(dst, r.Token)
	dst = binary.AppendUvarint(dst, r.Epoch)
	dst = binary.AppendUvarint(dst, r.Seq)
	dst = binary.AppendVarint(dst, r.Time.UnixNano())
	for _, s := range [...]string{r.Instance, r.Node, r.Name} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// A decoder reads entries. It keeps the texts that come again and again.
type decoder struct{ texts map[string]string }

// mostTexts bounds what a decoder keeps: there are some hundred names of events.
const mostTexts = 4096

// decode reads an entry. The payload of the record is part of it.
func (d *decoder) decode(entry []byte, r *Record) error {
	b, err := decodeNumbers(entry, r)
	if err != nil {
		return err
	}
	for _, s := range [...]*string{&r.Instance, &r.Node, &r.Name} {
		var size uint64
		if !cutUvarint(&b, &size) || size > uint64(len(b)) {
			return errEntry
		}
		*s, b = d.text(b[:size]), b[size:]
	}
	r.Payload = b
	return nil
}

// decodeNumbers reads what stands before the texts of an entry, spool.TailBytes at
// most, and returns the rest.
func decodeNumbers(entry []byte, r *Record) (rest []byte, err error) {
	if len(entry) < 2 || entry[0] != entryForm {
		return nil, errEntry
	}
	*r = Record{Kind: Kind(entry[1])}
	b := entry[2:]
	for _, n := range [...]*uint64{&r.Token, &r.Epoch, &r.Seq} {
		if !cutUvarint(&b, n) {
			return nil, errEntry
		}
	}
	at, n := binary.Varint(b)
	if n <= 0 {
		return nil, errEntry
	}
	r.Time = time.Unix(0, at)
	return b[n:], nil
}

func cutUvarint(b *[]byte, to *uint64) bool {
	v, n := binary.Uvarint(*b)
	if n <= 0 {
		return false
	}
	*to, *b = v, (*b)[n:]
	return true
}

func (d *decoder) text(b []byte) string {
	if s, ok := d.texts[string(b)]; ok {
		return s
	}
	if d.texts == nil || len(d.texts) >= mostTexts {
		d.texts = make(map[string]string)
	}
	s := string(b)
	d.texts[s] = s
	return s
}
