// Bench measures ami beside other Go clients of the Asterisk Manager Interface,
// and beside bounds that no client can beat. README.md has the method and the
// figures of one run.
//
//	cd bench && go run . -rounds 9
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 2 && args[0] == "serve" {
		for _, f := range families() {
			if f.Name == args[1] {
				return serve(f.Server)
			}
		}
		return fmt.Errorf("no family %q", args[1])
	}
	if len(args) == 4 && args[0] == "measure" {
		return measureHere(ctx, args[1], args[2], args[3], out)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 9, "how often everything is measured; the median counts")
	only := flags.String("family", "", "families to measure, separated by commas; empty: all")
	plot := flags.String("plot", "", "file for an SVG plot of the events end to end")
	names := flags.String("library", "", "libraries to measure, separated by commas; empty: all")
	limit := flags.Duration("limit", 20*time.Second, "time for one measurement")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: must be 1 or more", *rounds)
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	t := &table{families: chosen, results: map[string]map[string][]Result{}, failures: map[string]map[string]string{}}
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, *rounds)
		t.round(ctx, *names, *limit)
	}
	if _, err := io.WriteString(out, t.markdown()); err != nil {
		return err
	}
	if *plot == "" {
		return nil
	}
	return os.WriteFile(*plot, []byte(t.svg()), 0o644)
}

// patience is the time that a child has. It is below the default of -limit, so that
// the child says what was missing.
var patience = 15 * time.Second

func choose(only string) ([]Family, error) {
	all := families()
	if only == "" {
		return all, nil
	}
	var chosen []Family
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, f := range all {
			if f.Name == name {
				chosen, found = append(chosen, f), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-family %s: there is no such family", name)
		}
	}
	return chosen, nil
}

// measureHere is the child process: one measurement, its result as JSON.
func measureHere(ctx context.Context, family, name, addr string, out io.Writer) error {
	chosen, err := choose(family)
	if err != nil {
		return err
	}
	l, ok := library(name)
	if !ok {
		return fmt.Errorf("no library %q", name)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if file := os.Getenv("BENCH_PROFILE"); file != "" { // for whoever looks for the time
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close() // the profile is written
		}()
	}
	r, err := chosen[0].Measure(ctx, l, addr)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}
