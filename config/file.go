package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// How long a pipe or a terminal may keep Load waiting.
const (
	readPatience = time.Minute // in all
	writerPoll   = 20 * time.Millisecond
)

// writerPatience is how long until somebody writes to a pipe at all. Tests change it.
var writerPatience = time.Second

// readFile reads a file, or what comes through a pipe or from a terminal. One that
// is larger than a configuration may be is cut off behind that. Opening and reading
// never block for longer than ctx lives: a named pipe would until somebody writes.
func readFile(ctx context.Context, path string) ([]byte, fs.FileMode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	switch kind := info.Mode().Type(); {
	case kind == 0:
		data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
		return data, info.Mode(), err
	case kind&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		data, err := readPipe(ctx, f, kind == fs.ModeNamedPipe)
		return data, 0, err // the mode of a pipe says nothing about a file
	default:
		return nil, 0, errors.New("is neither a file nor a pipe")
	}
}

// readPipe reads until whoever writes has closed.
func readPipe(ctx context.Context, f *os.File, named bool) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) }) // a device that cannot wait needs none
	defer stop()
	var data []byte
	room := make([]byte, 32<<10)
	for opened := time.Now(); len(data) <= largestFile; {
		n, err := f.Read(room)
		data = append(data, room[:n]...)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, fmt.Errorf("not all of it came in time: %w", context.Cause(ctx))
		case !errors.Is(err, io.EOF):
			return nil, err
		case named && len(data) == 0: // nobody has it open for writing, yet or any more
			if time.Since(opened) >= writerPatience {
				return nil, errors.New("nobody writes to this pipe")
			}
			select {
			case <-time.After(writerPoll):
			case <-ctx.Done():
			}
		default:
			return data, nil
		}
	}
	return data, nil
}
