package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/apn/ami/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const target = "../../../event"

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	require.NoError(t, err)
	return c
}

func TestCommittedFilesAreThoseGenerated(t *testing.T) { // C7
	files, err := generate(load(t))
	require.NoError(t, err)
	again, err := generate(load(t))
	require.NoError(t, err)
	require.Equal(t, files, again, "the same every time")
	var names []string
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, name))
		require.NoError(t, err, "run go generate ./event")
		require.Equal(t, string(want), string(got), "%s: run go generate ./event", name)
		if filepath.Dir(name) == "." {
			names = append(names, name)
		}
	}
	left, err := generated(target)
	require.NoError(t, err)
	require.ElementsMatch(t, names, left, "no files of earlier runs")
}

func TestStaleFilesGo(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("old.go", []byte(header+"package event\n"), 0o600))
	require.NoError(t, os.WriteFile("hand.go", []byte("package event\n"), 0o600))
	require.NoError(t, write(map[string][]byte{"new.go": []byte(header)}))
	left, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Equal(t, []string{"hand.go", "new.go"}, left)
}

func TestClashesAreRefused(t *testing.T) {
	event := func(c *catalog.Catalog, name string) *catalog.Event {
		i := slices.IndexFunc(c.Events, func(e catalog.Event) bool { return e.Name == name })
		return &c.Events[i]
	}
	for want, change := range map[string]func(c *catalog.Catalog){
		"event Hangup: two fields Cause: see fieldNames": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "-Cause", Type: "int"})
		},
		"event Hangup: two fields Channel: see fieldNames": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "channel", Type: "string"})
		},
		"event Hangup: field Time hides that of Event: see fieldNames": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "Time", Type: "int"})
		},
		"event Hangup: two fields for header CallerIDNum": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "Num", Also: []string{"CallerIDNum"}, Type: "int"})
		},
		"event Hangup: X: no Go type for colour ": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "X", Type: "colour"})
		},
		"event Hangup: X: enums.go has no type for colours": func(c *catalog.Catalog) {
			e := event(c, "Hangup")
			e.Params = append(e.Params, catalog.Param{Name: "X", EnumRef: "colours"})
		},
		"Gap is the name of what is written by hand and of event Gap: see names.go": func(c *catalog.Catalog) {
			e := event(c, "Flash")
			e.Name, e.Module = "Gap", "app_queue"
			phrases["Gap"] = "is for this test"
			t.Cleanup(func() { delete(phrases, "Gap") })
		},
		"event New: topics.go names no file for module core": func(c *catalog.Catalog) { event(c, "Flash").Name = "New" },
		"event New: words.go does not say what it tells": func(c *catalog.Catalog) {
			e := event(c, "Flash")
			e.Name, e.Module = "New", "app_queue"
		},
	} {
		c := load(t)
		change(c)
		_, err := generate(c)
		require.EqualError(t, err, want)
	}
}

func TestTablesNameWhatIsThere(t *testing.T) { // no entry is left over
	c := load(t)
	headers := make(map[string]bool)
	events := make(map[string]bool)
	for _, e := range c.Events {
		events[e.Name] = true
		for _, p := range e.Params {
			headers[e.Name+"."+p.Name] = true
		}
	}
	for kind, s := range c.Snapshots {
		for _, p := range s.Fields {
			headers[kind+"."+p.Name] = true
		}
	}
	for name := range fieldNames {
		require.True(t, headers[name], name)
	}
	for name := range secrets {
		require.True(t, headers[name], name)
	}
	for name := range enumFields {
		require.True(t, headers[name], name)
	}
	for kind, names := range snapshotNames {
		for name := range names {
			require.True(t, headers[kind+"."+name], name)
		}
	}
	for name := range phrases {
		require.True(t, events[name], name)
	}
	for name := range remarks {
		require.True(t, events[name], name)
	}
}
