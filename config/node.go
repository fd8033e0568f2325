package config

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/apn/ami"
	"github.com/apn/ami/internal/redact"
	"github.com/apn/ami/internal/setting"
)

// A node is what the file, its defaults and the environment make of one.
type node struct {
	key, addr, username string
	secret              ami.Secret // the plain one, or that of secretEnv
	secretFile          string
	secretEnv           string
	auth, events        string
	secured             bool
	files               ami.TLSFiles
	weight              int
}

// same reports whether a running client need not be replaced. The weight is an
// option of the cluster.
func (n node) same(o node) bool {
	secrets := n.secret.Reveal() == o.secret.Reveal()
	n.addr, o.addr = n.fullAddr(), o.fullAddr() // pbx1 is pbx1:5038
	n.secret, o.secret, n.weight, o.weight = ami.Secret{}, ami.Secret{}, 0, 0
	n.secretEnv, o.secretEnv = "", "" // only its content counts
	return secrets && n == o
}

// fullAddr returns the address as all spellings of it have in common.
func (n node) fullAddr() string {
	host, port, reason := setting.Address(n.addr, n.secured)
	if reason != "" {
		return n.addr
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

// client returns the node as the library takes it.
func (n node) client() ami.Node {
	c := ami.Node{Key: n.key, Addr: n.addr, Username: n.username, Secret: n.secret, Events: n.events}
	if n.secretFile != "" {
		c.SecretFunc = ami.SecretFile(n.secretFile)
	}
	if n.auth == "md5" {
		c.Auth = ami.AuthMD5
	}
	if n.secured {
		c.TLSFunc = n.files.Config
	}
	return c
}

// minVersion returns the lowest version of TLS as the file has it.
func (n node) minVersion() string {
	if n.files.MinVersion == tls.VersionTLS13 {
		return "1.3"
	}
	return "1.2"
}

// A builder makes nodes of what a reader has read.
type builder struct {
	*reader
	dir      string // relative paths start there
	environ  map[string]string
	open     bool // everybody may read the file
	warnings Errors
}

// build makes the configuration, and notes what the library would refuse of it.
func (b *builder) build() *Config {
	c := &Config{values: make(map[string]value)}
	for i := range b.nodes {
		c.nodes = append(c.nodes, b.node(fmt.Sprintf("nodes[%d]", i)))
	}
	for _, f := range optionFields {
		if v, ok := b.values[f.Path]; ok {
			c.values[f.Path] = v
		}
	}
	c.options = c.apply()
	b.check(c)
	c.warnings = b.warnings.sorted()
	return c
}

// find returns the value of a node's key: its own, or that of the defaults.
func (b *builder) find(at, key string) (v value, path string, ok bool) {
	for _, level := range []string{at, "defaults"} {
		path = level + "." + key
		if v, ok = b.values[path]; ok {
			return v, path, true
		}
	}
	return value{}, at + "." + key, false
}

// text returns the text of a node's key, or its fallback.
func (b *builder) text(at, key string) string {
	if v, _, ok := b.find(at, key); ok {
		return v.text
	}
	return nodeTree.at(key).field.fallback
}

// path returns the file in a node's key, made absolute.
func (b *builder) path(at, key string) string {
	name := b.text(at, key)
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.dir, name)
}

// node makes one node.
func (b *builder) node(at string) node {
	n := node{
		key: b.text(at, "key"), addr: b.text(at, "addr"), username: b.text(at, "username"),
		auth: b.text(at, "auth"), events: b.text(at, "events"), weight: 1,
	}
	if _, _, given := b.find(at, "events"); !given && b.values[setting.Table[setting.EventsOnDemand].Path].num == 1 {
		n.events = "" // the subscriptions make the mask
	}
	if v, ok := b.values[at+".weight"]; ok {
		n.weight = int(v.num)
	}
	b.secret(&n, at)
	if n.secured = b.secured(at); n.secured {
		b.secure(&n, at)
	}
	return n
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// usualName is how one calls a variable, and how no secret looks: a capital
	// alone may be Base32.
	usualName = regexp.MustCompile(`^[A-Z0-9]*_[A-Z0-9_]*$`)
)

// hidden returns the error of a file that is to hold a secret without its name, if
// that may be the secret itself.
func (b *builder) hidden(name string, err error) error {
	e, ok := errors.AsType[*ami.FileError](err)
	if !ok || e.File == redact.Mask || redact.FileName(name, b.dir) != redact.Mask {
		return err
	}
	return &ami.FileError{File: redact.Mask, Err: fmt.Errorf("%w; the name is not shown: it may be the secret itself", e.Err)}
}

// secret finds the secret of a node. One that cannot be had is replaced, so that
// the library does not complain a second time.
func (b *builder) secret(n *node, at string) {
	level := at
	if _, ok := b.values[at+".secret"]; !ok {
		level = "defaults"
	}
	level += ".secret"
	plain, given := b.values[level]
	file, inFile := b.values[level+".file"]
	env, inEnv := b.values[level+".env"]
	n.secret = ami.NewSecret("unknown")
	refuse := func(path string, v value, err error) {
		b.refuse(&Error{Path: path, Line: v.line, Env: v.env, Value: v.given, Err: err})
	}
	switch isPlain := plain.secret != (ami.Secret{}); {
	case isPlain && (inFile || inEnv), inFile && inEnv:
		refuse(level, value{line: plain.line, env: plain.env}, fmt.Errorf("%w: more than one of the secret itself, file and env", ErrContradiction))
	case isPlain:
		n.secret = plain.secret
		if b.open && plain.env == "" {
			b.warnings = append(b.warnings, &Error{Path: level, Line: plain.line, Err: errOpen})
		}
	case inFile:
		n.secret, n.secretFile = ami.Secret{}, b.path(at, "secret.file")
		if _, err := ami.SecretFile(n.secretFile)(context.Background()); err != nil {
			refuse(level+".file", value{line: file.line, env: file.env}, b.hidden(file.text, err))
		}
		b.warnOfOpen(n.secretFile, level+".file", file)
	case inEnv && !variableName.MatchString(env.text): // what else it may be
		refuse(level+".env", value{line: env.line, env: env.env}, fmt.Errorf("%w: must be the name of a variable, and is not shown: it may be the secret itself", ErrValue))
	case inEnv && b.environ[env.text] == "" && !usualName.MatchString(env.text):
		refuse(level+".env", value{line: env.line, env: env.env}, errors.New("the variable is not set; its name is not shown: it may be the secret itself"))
	case inEnv && b.environ[env.text] == "":
		refuse(level+".env", value{line: env.line, env: env.env, given: strconv.Quote(env.text)}, errors.New("the variable is not set"))
	case inEnv:
		n.secretEnv, n.secret = env.text, ami.NewSecret(b.environ[env.text])
	case given:
		if !b.bad[level] && !b.bad[level+".file"] && !b.bad[level+".env"] {
			refuse(level, plain, fmt.Errorf("%w: must be a text, or have file or env", ErrValue))
		}
	default:
		n.secret = ami.Secret{}
	}
}

// secured reports whether a node speaks TLS: the keys of the node say so, or
// else the defaults.
func (b *builder) secured(at string) bool {
	for _, level := range []string{at, "defaults"} {
		if v, ok := b.values[level+".tls.enabled"]; ok {
			if v.num == 0 {
				b.refuseSecured(at, v)
			}
			return v.num == 1
		}
		if _, ok := b.values[level+".tls"]; ok {
			return true
		}
	}
	return false
}

// refuseSecured refuses keys of TLS beside a false enabled of the same node.
func (b *builder) refuseSecured(at string, enabled value) {
	for _, key := range nodeTree.below["tls"].keys {
		if v, ok := b.values[at+".tls."+key]; ok && key != "enabled" {
			b.refuse(&Error{Path: at + ".tls." + key, Line: v.line, Value: v.given, Err: fmt.Errorf("%w: tls.enabled is false in line %d", ErrContradiction, enabled.line)})
		}
	}
}

// secure sets the files of a node, and looks whether they can be used.
func (b *builder) secure(n *node, at string) {
	n.files = ami.TLSFiles{
		CA: b.path(at, "tls.ca"), Certificate: b.path(at, "tls.certificate"), Key: b.path(at, "tls.key"),
		ServerName: b.text(at, "tls.server_name"),
	}
	if b.text(at, "tls.min_version") == "1.3" {
		n.files.MinVersion = tls.VersionTLS13
	}
	for _, part := range []ami.TLSFiles{{CA: n.files.CA}, {Certificate: n.files.Certificate, Key: n.files.Key}} {
		_, err := part.Config(context.Background())
		key := "tls.ca"
		// A name that is not shown is that of the key, which is read last.
		if e, ok := errors.AsType[*ami.FileError](err); ok && (e.File == n.files.Key || e.File == redact.Mask && readable(part.Certificate)) {
			key = "tls.key"
		} else if part.Certificate != "" {
			key = "tls.certificate"
		}
		if e, ok := errors.AsType[*ami.ConfigError](err); ok && e.Key == "TLSFiles.Key" {
			key, err = "tls.key", fmt.Errorf("%w: is required with tls.certificate", ErrContradiction)
		} else if ok {
			key, err = "tls.certificate", fmt.Errorf("%w: is required with tls.key", ErrContradiction)
		}
		if v, path, _ := b.find(at, key); err != nil {
			if key == "tls.key" {
				err = b.hidden(v.text, err)
			}
			b.refuse(&Error{Path: path, Line: b.line(path), Env: v.env, Err: err})
		}
	}
	if v, path, ok := b.find(at, "tls.key"); ok {
		b.warnOfOpen(n.files.Key, path, v)
	}
}

func readable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
