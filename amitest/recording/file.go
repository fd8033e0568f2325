package recording

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
)

// A File is a recording in a file. Its methods may be called by several goroutines at
// once: each reading opens the file anew.
type File struct {
	name   string
	header Header
	open   func() (source, error)
}

// A source yields the records of a file.
type source interface {
	Next() (Record, error)
	Header() Header
	io.Closer
}

// Open looks at the header of the file. One whose name ends in ".timeline" is read
// together with the ".server" beside it: lines of seconds, "S" for what the server has
// sent, "C" for the client or "EOF", and a number of bytes; the bytes themselves are in
// the ".server". Such a pair may have no header: then the node is the name of the file.
//
// The error is a *FormatError behind the name of the file, or that of the file system.
func Open(name string) (*File, error) {
	f := &File{name: name, open: func() (source, error) { return openRecording(name) }}
	if base, ok := strings.CutSuffix(name, ".timeline"); ok {
		f.open = func() (source, error) { return openTimeline(base) }
	}
	s, err := f.open()
	if err != nil {
		return nil, f.named(err)
	}
	f.header = s.Header()
	return f, s.Close()
}

// Header returns the header.
func (f *File) Header() Header { return f.header }

// Records reads the file from its begin. An error comes last, in place of a record:
// ErrCut if the recording has no end mark, or what Open returns.
func (f *File) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s, err := f.open()
		if err != nil {
			yield(Record{}, f.named(err))
			return
		}
		defer func() { _ = s.Close() }() // it was read only
		for {
			rec, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Record{}, f.named(err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// named puts the name of the file before an error that does not have it.
func (f *File) named(err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", f.name, err)
}

// opened is a Reader of a file.
type opened struct {
	*Reader
	io.Closer
}

func openRecording(name string) (source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f)
	if err != nil {
		_ = f.Close() // it was read only
		return nil, err
	}
	return &opened{r, f}, nil
}
