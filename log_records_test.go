package ami_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
	"github.com/apn/ami/amitest"
	"github.com/apn/ami/asynclog"
	"github.com/apn/ami/event"
	"github.com/apn/ami/frame"
)

// TestLogRecords: every message and attribute that is logged is in the tables of
// docs/operations.md as it is, and every row of them is logged (G1).
func TestLogRecords(t *testing.T) {
	seen := newRegister()
	logEverything(t, slog.New(seen))
	messages, attrs := logTables(t)

	got := map[string]messageRow{}
	types := map[string]string{}
	for _, r := range seen.all() {
		row := got[r.Message]
		row.levels = union(row.levels, capital(r.Level))
		if r.Message != "log records dropped" {
			require.Equal(t, slog.StringValue("pbx1"), r.attrs["server_key"], r.Message)
		}
		for key, v := range r.attrs {
			types[key] = union(types[key], kind(v))
			if key != "server_key" && key != "lane" {
				row.attrs = union(row.attrs, key)
			}
		}
		got[r.Message] = row
	}
	for _, r := range seen.all() { // which are not always there
		row := got[r.Message]
		for key := range strings.SplitSeq(row.attrs, " ") {
			if v, ok := r.attrs[key]; !ok || v.String() == "" {
				row.optional = union(row.optional, key)
			}
		}
		got[r.Message] = row
	}
	require.Equal(t, messages, got, "messages in the table, and those that were logged")
	require.Equal(t, attrs, types, "attributes in the table, and those that were logged")

	// What only another run might show: no call has words of its own.
	constants := logConstants(t)
	for message := range got {
		if message != "log records dropped" { // of another package
			require.Contains(t, constants, message)
		}
	}
	for _, c := range constants {
		_, message := got[c]
		_, attr := types[c]
		require.True(t, message || attr, "%q is never logged", c)
	}
	require.Empty(t, logLiterals(t))
}

// A messageRow is what a table says of a message. The words are sorted.
type messageRow struct{ levels, attrs, optional string }

// union adds a word to sorted ones.
func union(words, word string) string {
	all := strings.Fields(words)
	if i, found := slices.BinarySearch(all, word); !found {
		all = slices.Insert(all, i, word)
	}
	return strings.Join(all, " ")
}

func capital(l slog.Level) string { return l.String()[:1] + strings.ToLower(l.String()[1:]) }

func kind(v slog.Value) string {
	switch v.Kind() {
	case slog.KindInt64:
		return "int"
	case slog.KindUint64:
		return "uint"
	case slog.KindAny:
		if _, ok := v.Any().(error); ok {
			return "error"
		}
	}
	return strings.ToLower(v.Kind().String())
}

// A register is a log handler that keeps all records.
type register struct {
	*kept

	attrs []slog.Attr
}

type kept struct {
	mu      sync.Mutex
	records []keptRecord
}

type keptRecord struct {
	slog.Record

	attrs map[string]slog.Value
}

func newRegister() *register { return &register{kept: new(kept)} }

func (r *register) Enabled(context.Context, slog.Level) bool { return true }
func (r *register) WithGroup(string) slog.Handler            { panic("no record has groups") }
func (r *register) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &register{r.kept, append(slices.Clip(r.attrs), attrs...)}
}

func (r *register) Handle(_ context.Context, record slog.Record) error {
	k := keptRecord{record, map[string]slog.Value{}}
	add := func(a slog.Attr) bool {
		k.attrs[a.Key] = a.Value.Resolve()
		return true
	}
	for _, a := range r.attrs {
		add(a)
	}
	record.Attrs(add)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, k)
	return nil
}

func (r *register) all() []keptRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

// logEverything has the library log all that it can.
func logEverything(t *testing.T, log *slog.Logger) {
	t.Helper()
	for name, scenario := range map[string]func(*testing.T, *amitest.Server){
		"breaker": func(t *testing.T, srv *amitest.Server) {
			srv.SetFaults(amitest.Faults{Refuse: true})
			c := run(t, srv, ami.WithLogger(log), ami.WithBreaker(2, time.Minute, 1))
			time.Sleep(30 * time.Second) // fake
			srv.SetFaults(amitest.Faults{})
			require.NoError(t, c.Ready(t.Context()))
			time.Sleep(time.Hour) // fake; stable
			srv.Sessions()[0].Kick()
			require.NoError(t, c.Ready(t.Context()))
			require.NoError(t, c.Shutdown(t.Context()))
		},
		"lanes": func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithLogger(log), ami.WithActionLanes(2))
			_, err := c.Send(t.Context(), action.Ping{})
			require.NoError(t, err)
			srv.Session(2).Kick()
			time.Sleep(time.Minute) // fake
		},
		"drops": func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithLogger(log))
			c.Subscribe(ami.Named("Test"), ami.Buffer(2))
			broadcast(srv, 1, 10)
			time.Sleep(time.Minute) // fake
			require.NoError(t, c.Shutdown(t.Context()))
		},
		"panic": func(t *testing.T, srv *amitest.Server) {
			for _, fields := range [][]frame.Field{nil, {amitest.F("ActionID", "7")}} {
				c := dial(t, srv, ami.WithLogger(log))
				c.Subscribe(ami.Where(func(event.Event) bool { panic("no") }), ami.Named("Test"))
				srv.Broadcast("Test", amitest.ClassUser, fields...)
				synctest.Wait()
			}
		},
		"malformed": func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithLogger(log))
			long := strings.Repeat("x", 300<<10)
			srv.Handle("Long", func(call *amitest.Call) {
				call.Raw([]byte("Event: Long\r\nValue: " + long + "\r\n\r\n"))
				call.Respond(amitest.F("Value", long))
			})
			_, err := c.Send(t.Context(), action.Custom("Long"))
			require.Error(t, err)
			synctest.Wait()
		},
		"observers": func(t *testing.T, srv *amitest.Server) {
			for _, o := range []ami.Observer{bad{}, badEnd{}} {
				c := dial(t, srv, ami.WithLogger(log), ami.WithObserver(o))
				_, err := c.Send(t.Context(), action.Ping{})
				require.NoError(t, err)
			}
		},
		"callback": func(t *testing.T, srv *amitest.Server) {
			_, err := ami.Dial(t.Context(), node(srv), ami.WithLogger(log), ami.WithDialer(func(context.Context, string, string) (net.Conn, error) { panic("no") }))
			require.Error(t, err)
		},
		"on demand": func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithLogger(log), ami.WithEventsOnDemand())
			c.Subscribe(ami.Named("Hangup"))
			synctest.Wait()
			c.Subscribe(ami.Named("AgentLogin"))
			synctest.Wait()
			srv.Handle("Filter", func(c *amitest.Call) { c.Error("Permission denied") })
			refused := dial(t, srv, ami.WithLogger(log), ami.WithEventsOnDemand())
			refused.Subscribe(ami.Named("Hangup"))
			synctest.Wait()
		},
		"unmatched": func(t *testing.T, srv *amitest.Server) {
			c := dial(t, srv, ami.WithLogger(log))
			srv.Handle("Odd", func(call *amitest.Call) {
				call.Raw([]byte("Response: Error\r\nMessage: no id\r\n\r\n"))
				call.Raw([]byte("Response: Success\r\nActionID: somebody:else:1\r\n\r\n"))
				call.Success("mine")
			})
			_, err := c.Send(t.Context(), action.Custom("Odd"))
			require.NoError(t, err)
			synctest.Wait()
		},
		"asynclog": func(t *testing.T, _ *amitest.Server) {
			gate := make(chan struct{})
			h, err := asynclog.New(failing{log.Handler(), gate}, asynclog.WithCapacity(1))
			require.NoError(t, err)
			for range 3 {
				slog.New(h).Error("fails")
			}
			close(gate)
			require.NoError(t, h.Close(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, scenario) })
	}
}

// failing is a log handler that fails, except for warnings.
type failing struct {
	slog.Handler

	gate chan struct{}
}

func (f failing) Handle(ctx context.Context, r slog.Record) error {
	<-f.gate
	if r.Level == slog.LevelWarn {
		return f.Handler.Handle(ctx, r)
	}
	return errors.New("disk full")
}

// TestStatesAreDocumented: the table of states has all of them, in order.
func TestStatesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(text), "\n## States\n")
	require.True(t, ok)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	var documented, all []string
	for line := range strings.SplitSeq(chapter, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 3 && cells[0] != "| state" && cells[0] != "| ---" {
			documented = append(documented, strings.TrimPrefix(cells[0], "| "))
		}
	}
	for s := ami.Disconnected; !strings.HasPrefix(s.String(), "state("); s++ {
		all = append(all, s.String())
	}
	require.Equal(t, all, documented)
}

var inTicks = regexp.MustCompile("(\\()?`([^`]+)`")

// logTables reads them from the document.
func logTables(t *testing.T) (messages map[string]messageRow, attrs map[string]string) {
	t.Helper()
	text, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(text), "\n## Log records\n")
	require.True(t, ok)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	messages, attrs = map[string]messageRow{}, map[string]string{}
	for line := range strings.SplitSeq(chapter, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case !strings.HasPrefix(line, "| ") || cells[0] == "---" || cells[0] == "level" || cells[0] == "attribute":
		case cells[0][0] == '`':
			require.Len(t, cells, 3, line)
			key := strings.Trim(cells[0], "`")
			require.NotContains(t, attrs, key)
			attrs[key] = cells[1]
		default:
			require.Len(t, cells, 5, line)
			var row messageRow
			for l := range strings.SplitSeq(cells[0], ", ") {
				row.levels = union(row.levels, l)
			}
			for _, m := range inTicks.FindAllStringSubmatch(cells[2], -1) {
				row.attrs = union(row.attrs, m[2])
				if m[1] != "" {
					row.optional = union(row.optional, m[2])
				}
			}
			require.NotContains(t, messages, cells[1])
			messages[cells[1]] = row
		}
	}
	return messages, attrs
}

// logConstants returns the messages and keys that logattr.go names.
func logConstants(t *testing.T) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "logattr.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			v, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			values = append(values, v)
		}
		return true
	})
	require.NotEmpty(t, values)
	return values
}

// logLiterals returns the places where a log call has a string of its own.
func logLiterals(t *testing.T) (found []string) {
	t.Helper()
	calls := map[string]bool{"With": true, "Log": true, "LogAttrs": true}
	for _, level := range []string{"Debug", "Info", "Warn", "Error"} {
		calls[level], calls[level+"Context"] = true, true
	}
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	looked := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && calls[method.Sel.Name] {
				looked++
				for _, arg := range call.Args {
					if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						found = append(found, fset.Position(lit.Pos()).String())
					}
				}
			}
			return true
		})
	}
	require.GreaterOrEqual(t, looked, 9)
	return found
}
