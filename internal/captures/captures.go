// Package captures holds byte-exact recordings of real Asterisk servers
// (18.26.4, 20.20.1 and 22.10.1) as test data. Only tests import it, so a
// program that uses the library carries none of it.
//
// data/INDEX.md says what each recording shows; data/frames.tsv counts the
// messages of each, found by a plain split on line ends.
package captures

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed data
var data embed.FS

// Names lists the recordings, sorted.
func Names() []string {
	entries, err := fs.ReadDir(data, "data")
	if err != nil {
		panic(err) // the files are part of the test binary
	}
	var names []string
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".gz")
		if name, ok := strings.CutSuffix(name, ".server"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Server returns all bytes that Asterisk sent in the recording.
func Server(name string) []byte { return file(name + ".server") }

// Client returns all bytes that the recorded client sent.
func Client(name string) []byte { return file(name + ".client") }

// A Chunk is one read or write of a recording, as its timeline has it.
type Chunk struct {
	At     time.Duration // since the connection was made
	Server bool          // sent by Asterisk; false: sent by the client
	EOF    bool          // Asterisk closed the connection; Bytes is empty
	Bytes  []byte
}

// Timeline returns the recording in the order in which it happened.
func Timeline(name string) []Chunk {
	server, client := Server(name), Client(name)
	var chunks []Chunk
	for line := range strings.Lines(string(file(name + ".timeline"))) {
		f := strings.Fields(line)
		if len(f) != 3 {
			panic(fmt.Sprintf("captures: %s: bad timeline line %q", name, line))
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			panic(fmt.Sprintf("captures: %s: %v", name, err))
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			panic(fmt.Sprintf("captures: %s: %v", name, err))
		}
		c := Chunk{At: time.Duration(at * float64(time.Second)), Server: f[1] != "C", EOF: f[1] == "EOF"}
		from := &client
		if c.Server {
			from = &server
		}
		c.Bytes, *from = (*from)[:n], (*from)[n:]
		chunks = append(chunks, c)
	}
	return chunks
}

// Counts is what data/frames.tsv says of one recording.
type Counts struct {
	Bytes, Messages, Responses, Events, Other         int
	LinesWithColon, LinesWithoutColon, LinesOfCutTail int
	Banner                                            string
}

// Expected returns the counts of every recording by its name.
func Expected() map[string]Counts {
	all := make(map[string]Counts)
	for i, line := range strings.Split(strings.TrimSpace(string(file("frames.tsv"))), "\n") {
		f := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if i == 0 {
			continue // column names
		}
		n := make([]int, 8)
		for k := range n {
			v, err := strconv.Atoi(f[k+1])
			if err != nil {
				panic(fmt.Sprintf("captures: frames.tsv: %v", err))
			}
			n[k] = v
		}
		c := Counts{
			Bytes: n[0], Messages: n[1], Responses: n[2], Events: n[3], Other: n[4],
			LinesWithColon: n[5], LinesWithoutColon: n[6], LinesOfCutTail: n[7],
		}
		if len(f) > 9 {
			c.Banner = f[9]
		}
		all[f[0]] = c
	}
	return all
}

func file(name string) []byte {
	if b, err := data.ReadFile("data/" + name); err == nil {
		return b
	}
	b, err := data.ReadFile("data/" + name + ".gz")
	if err != nil {
		panic(fmt.Sprintf("captures: no recording file %s", name))
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		panic(fmt.Sprintf("captures: %s: %v", name, err))
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("captures: %s: %v", name, err))
	}
	return plain
}
