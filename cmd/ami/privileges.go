package main

import (
	"context"
	"slices"
	"strings"

	"github.com/apn/ami"
	"github.com/apn/ami/action"
)

// Privileges are the classes that manager.conf gives a user, as far as they can be
// found out. nil: nothing is known.
type privileges struct {
	Read  []string `json:"read,omitempty"`
	Write []string `json:"write,omitempty"`
}

// userFacts are what the CLI says of a user: lines "name: value" by name.
type userFacts map[string]string

// askUser asks the CLI about the user of a node (main/manager.c:handle_showmanager).
// It needs write = command: nil without.
func askUser(ctx context.Context, c *ami.Client) userFacts {
	user := c.Node().Username
	if strings.ContainsAny(user, " \t\"") {
		return nil // the CLI would take it for several words
	}
	r, err := ami.Call(ctx, c, action.Command{Command: "manager show user " + user})
	if err != nil {
		return nil
	}
	facts := make(userFacts)
	for _, line := range r.Output {
		if key, value, ok := strings.Cut(line, ":"); ok {
			facts[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	if facts["write perm"] == "" {
		return nil
	}
	return facts
}

// askPrivileges finds the classes of a node's user: the CLI knows them all; else
// the actions that ListCommands offers tell of those to write.
func askPrivileges(ctx context.Context, c *ami.Client) privileges {
	if facts := askUser(ctx, c); facts != nil {
		return privileges{Read: classes(facts["read perm"]), Write: classes(facts["write perm"])}
	}
	offered, err := ami.Call(ctx, c, action.ListCommands{})
	if err != nil {
		return privileges{}
	}
	return privileges{Write: inferred(offered)}
}

// classes splits a list as Asterisk prints it: "system,call", "all", "<none>".
func classes(s string) []string {
	if s == "" || s == "<none>" {
		return []string{}
	}
	all := strings.Split(s, ",")
	if len(all) > 1 && all[len(all)-1] == "all" { // it ends every list of some versions
		all = all[:len(all)-1]
	}
	return all
}

// inferred returns the classes that the user must have to be offered these
// actions: those of actions that have one class only.
func inferred(offered []action.CommandFacts) []string {
	has := []string{}
	for _, f := range offered {
		if len(f.Privilege) == 1 && !slices.Contains(has, f.Privilege[0]) {
			has = append(has, f.Privilege[0])
		}
	}
	slices.Sort(has)
	return has
}
