package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// A table collects the results of all rounds, by family and library.
type table struct {
	families []Family
	results  map[string]map[string][]Result
	failures map[string]map[string]string // the last one
}

// round measures everything once, in random order, so that a disturbance of the
// machine hits all alike.
func (t *table) round(ctx context.Context, names string, limit time.Duration) {
	for _, f := range t.families {
		if t.results[f.Name] == nil {
			t.results[f.Name], t.failures[f.Name] = map[string][]Result{}, map[string]string{}
		}
		list := libraries()
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, l := range list {
			if f.Only != nil && !f.Only(l) || names != "" && !slices.Contains(strings.Split(names, ","), l.Name) {
				continue
			}
			r, err := measure(ctx, f, l, limit)
			if err != nil {
				t.failures[f.Name][l.Name] = err.Error()
				continue
			}
			t.results[f.Name][l.Name] = append(t.results[f.Name][l.Name], r)
		}
	}
}

// measure runs one measurement in a process of its own, against a server in
// another: a library that crashes or hangs takes nothing else along, and CPU time
// and allocations are its own.
func measure(ctx context.Context, f Family, l Library, limit time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return Result{}, err
	}
	server := exec.CommandContext(ctx, self, "serve", f.Name)
	in, err := server.StdinPipe()
	if err != nil {
		return Result{}, err
	}
	address, err := server.StdoutPipe()
	if err != nil {
		return Result{}, err
	}
	if err := onOneCore(server.Start); err != nil {
		return Result{}, err
	}
	defer func() {
		_ = in.Close() // it ends with its input
		_ = server.Wait()
	}()
	addr, err := bufio.NewReader(address).ReadString('\n')
	if err != nil {
		return Result{}, err
	}
	var out, complaints bytes.Buffer
	child := exec.CommandContext(ctx, self, "measure", f.Name, l.Name, strings.TrimSpace(addr))
	child.Stdout, child.Stderr = &out, &complaints
	if err := child.Run(); err != nil {
		if ctx.Err() != nil {
			return Result{}, errors.New("did not end in time")
		}
		return Result{}, fmt.Errorf("%w: %s", err, firstLine(complaints.String()))
	}
	var r Result
	// A library may have printed something: the result is the last line.
	last := bytes.TrimSpace(out.Bytes())
	if i := bytes.LastIndexByte(last, '\n'); i >= 0 {
		last = last[i+1:]
	}
	if err := json.NewDecoder(bytes.NewReader(last)).Decode(&r); err != nil && !errors.Is(err, io.EOF) {
		return Result{}, err
	}
	return r, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
