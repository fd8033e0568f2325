package amitest

import (
	"maps"
	"slices"
	"strings"
)

// The actions of main/db.c.

// dbKey returns the place of Family and Key, or answers that one is missing.
func (c *Call) dbKey() (string, bool) {
	switch {
	case c.Get("Family") == "":
		c.Error("No family specified.")
	case c.Get("Key") == "":
		c.Error("No key specified.")
	default:
		return "/" + c.Get("Family") + "/" + c.Get("Key"), true
	}
	return "", false
}

func dbPut(c *Call) {
	if key, ok := c.dbKey(); ok {
		p := c.session.srv.pbx
		p.mu.Lock()
		p.db[key] = c.Get("Val")
		p.mu.Unlock()
		c.Success("Updated database successfully")
	}
}

func dbGet(c *Call) {
	key, ok := c.dbKey()
	if !ok {
		return
	}
	p := c.session.srv.pbx
	p.mu.Lock()
	val, found := p.db[key]
	p.mu.Unlock()
	if !found {
		c.Error("Database entry not found")
		return
	}
	c.ListStart("Result will follow")
	c.EventIDLast("DBGetResponse", F("Family", c.Get("Family")), F("Key", c.Get("Key")), F("Val", val))
	c.ListComplete("DBGetComplete", 1)
}

// dbTree returns the sorted keys at Family and Key, which may both be missing.
func (c *Call) dbTree() []string {
	var prefix strings.Builder
	for _, part := range []string{c.Get("Family"), c.Get("Key")} {
		if part != "" {
			prefix.WriteString("/" + part)
		}
	}
	p := c.session.srv.pbx
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := slices.Sorted(maps.Keys(p.db))
	return slices.DeleteFunc(keys, func(key string) bool {
		return key != prefix.String() && !strings.HasPrefix(key, prefix.String()+"/")
	})
}

func dbGetTree(c *Call) {
	c.ListStart("Result will follow")
	keys := c.dbTree()
	p := c.session.srv.pbx
	for _, key := range keys {
		p.mu.Lock()
		val := p.db[key]
		p.mu.Unlock()
		c.EventIDLast("DBGetTreeResponse", F("Key", key), F("Val", val))
	}
	c.ListComplete("DBGetTreeComplete", len(keys))
}

func dbDel(c *Call) {
	key, ok := c.dbKey()
	if !ok {
		return
	}
	p := c.session.srv.pbx
	p.mu.Lock()
	_, found := p.db[key]
	delete(p.db, key)
	p.mu.Unlock()
	if !found {
		c.Error("Database entry not found")
		return
	}
	c.Success("Key deleted successfully")
}

func dbDelTree(c *Call) {
	if c.Get("Family") == "" {
		c.Error("No family specified.")
		return
	}
	keys := c.dbTree()
	p := c.session.srv.pbx
	p.mu.Lock()
	for _, key := range keys {
		delete(p.db, key)
	}
	p.mu.Unlock()
	if len(keys) == 0 {
		c.Error("Database entry not found")
		return
	}
	c.Success("Key tree deleted successfully")
}
