package redisstream

import (
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/apn/ami/bridge"
)

//go:embed store.lua
var source string

var script = redis.NewScript(source)

// A batch is what the script is given. Its memory is used again.
type batch struct {
	keys  []string
	args  []any
	holds map[hold]int // their numbers, from 1
	nodes map[string]int
}

type hold struct{ node, instance string }

// fill makes the batch be of these records.
func (b *batch) fill(o *Options, records []bridge.Record) {
	if b.holds == nil {
		b.holds, b.nodes = make(map[hold]int), make(map[string]int)
	}
	clear(b.holds)
	clear(b.nodes)
	clear(b.args)
	b.keys = append(b.keys[:0], o.last())
	b.args = append(b.args[:0], max(o.MaxLen, 0), holdsKept, 0)
	for i := range records {
		h := hold{records[i].Node, records[i].Instance}
		if b.holds[h] > 0 {
			continue
		}
		b.holds[h] = len(b.holds) + 1
		if b.nodes[h.node] == 0 {
			b.nodes[h.node] = len(b.nodes) + 1
			b.keys = append(b.keys, o.stream(h.node))
		}
		b.args = append(b.args, b.nodes[h.node], h.node, h.instance)
	}
	b.args[2] = len(b.holds)
	for i := range records {
		r := &records[i]
		b.args = append(b.args, b.holds[hold{r.Node, r.Instance}], r.Epoch, r.Seq, r.Kind.String(), r.Name,
			r.Time.UTC().Format(time.RFC3339Nano), r.Payload)
	}
}

// An answer is what the script returns.
type answer struct {
	stored, duplicates int64
	why                reply
}

// parse reads the answer to n records.
func parse(cmd *redis.Cmd, n int) (a answer, err error) {
	list, err := cmd.Slice()
	if err != nil {
		return a, err
	}
	ok := len(list) == 3
	if ok {
		var why string
		a.stored, _ = list[0].(int64)
		a.duplicates, _ = list[1].(int64)
		why, ok = list[2].(string)
		a.why = reply(why)
	}
	if !ok || a.stored > int64(n) || a.duplicates < 0 || a.duplicates > max(a.stored, 0) || (a.stored == int64(n)) != (a.why == "") {
		return a, fmt.Errorf("redisstream: what is no answer to %d records came: %v", n, list)
	}
	return a, nil
}
