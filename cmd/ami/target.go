package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apn/ami"
	"github.com/apn/ami/config"
)

// places are where the configuration is looked for.
var places = []string{"ami.yaml", "/etc/ami/ami.yaml"}

// configurationTopic is what "ami help configuration" prints.
func configurationTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "configuration",
		Short: "Where servers and settings come from",
		Long: `Servers and settings come from a YAML file: that of --config, else that of
$AMI_CONFIG, else ./ami.yaml, else /etc/ami/ami.yaml.

    defaults:
      username: app
      secret: {file: /run/secrets/ami}
    nodes:
      - {key: pbx1, addr: pbx1.example.com}
      - {key: pbx2, addr: pbx2.example.com}

"ami config schema" describes all keys for editors, "ami config print" shows
what is in force, "ami config check" what is wrong.

Variables AMI_... replace single values of the file: AMI_KEEPALIVE_INTERVAL=20s,
AMI_DEFAULTS_SECRET_FILE=/run/secrets/ami.

For one server without a file --addr, --user and --secret-file suffice, or
$AMI_SECRET in place of the last. No secret is ever taken from the command line:
everybody on the machine may read that.`,
	}
}

// A target is what flags and environment say of servers and settings.
type target struct {
	environ []string

	file       string
	addr, user string
	secretFile string
	ca         string
	tls        bool
}

// A configError is a configuration that cannot be used.
type configError struct{ lines []string }

func (e *configError) Error() string { return strings.Join(e.lines, "\n") }

// targetFlags gives a command the flags of a target.
func (a *app) targetFlags(cmd *cobra.Command) {
	f, t := cmd.Flags(), &a.target
	f.StringVarP(&t.file, "config", "c", "", "configuration `file` (default $AMI_CONFIG, ./ami.yaml, /etc/ami/ami.yaml)")
	f.StringVar(&t.addr, "addr", "", "one server without a file: `host[:port]`")
	f.StringVar(&t.user, "user", "", "its user of manager.conf, with --addr")
	f.StringVar(&t.secretFile, "secret-file", "", "`file` that holds the secret, with --addr (default: $AMI_SECRET)")
	f.BoolVar(&t.tls, "tls", false, "speak TLS, with --addr")
	f.StringVar(&t.ca, "ca", "", "PEM `file` of the authorities to trust, with --tls (default: those of the system)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // the flags exist
	_ = cmd.MarkFlagFilename("secret-file")
	_ = cmd.MarkFlagFilename("ca", "pem", "crt")
}

// env returns a variable of the environment.
func (t *target) env(name string) string {
	for _, line := range slices.Backward(t.environ) {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}

// check refuses flags that do not go together.
func (t *target) check() error {
	switch {
	case t.addr == "" && (t.user != "" || t.secretFile != "" || t.tls || t.ca != ""):
		return wrong("--user, --secret-file, --tls and --ca need --addr: they are for one server without a file")
	case t.addr == "":
		return nil
	case t.file != "":
		return wrong("--config and --addr: give one of the two")
	case t.ca != "" && !t.tls:
		return wrong("--ca needs --tls")
	case t.user == "":
		return wrong("--addr needs --user")
	case t.secretFile == "" && t.env("AMI_SECRET") == "":
		return wrong("--addr needs the secret: --secret-file or $AMI_SECRET")
	default:
		return nil
	}
}

// load returns the configuration. Its warnings go to warn.
func (t *target) load(ctx context.Context, warn func(finding)) (*config.Config, error) {
	c, found, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Severity == "warning" {
			warn(f)
		}
	}
	if c == nil {
		return nil, failing(found)
	}
	return c, nil
}

// failing makes an error of what was found wrong.
func failing(found []finding) error {
	e := &configError{}
	for _, f := range found {
		e.lines = append(e.lines, f.String())
	}
	return e
}

// read returns the configuration, nil if it cannot be used, and what was found
// about it. If ctx ends meanwhile, which a pipe may take long enough for, it returns
// that as the error.
func (t *target) read(ctx context.Context) (*config.Config, []finding, error) {
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	var c *config.Config
	var err error
	file := ""
	if t.addr != "" {
		c, err = t.server()
	} else {
		if file, err = t.find(); err != nil {
			return nil, nil, err
		}
		c, err = config.LoadContext(ctx, file, t.environ)
	}
	if errors.Is(err, context.Canceled) {
		return nil, nil, err
	}
	if err != nil {
		return nil, findings("error", file, err), nil
	}
	var found []finding
	for _, w := range c.Warnings() {
		if w.Path != "AMI_CONFIG" && w.Path != "AMI_SECRET" { // they are ours
			found = append(found, findings("warning", file, w)...)
		}
	}
	return c, found, nil
}

// find returns the file to read.
func (t *target) find() (string, error) {
	if file := cmp.Or(t.file, t.env("AMI_CONFIG")); file != "" {
		return file, nil
	}
	for _, file := range places {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return file, nil
		}
	}
	return "", &configError{[]string{"no configuration: give --config FILE or --addr HOST, set $AMI_CONFIG, or write ./ami.yaml or /etc/ami/ami.yaml; see \"ami help configuration\""}}
}

// server makes the configuration of the one server that the flags name. JSON is
// YAML, and so the environment has the same say as with a file.
func (t *target) server() (*config.Config, error) {
	secret := map[string]string{"env": "AMI_SECRET"}
	if t.secretFile != "" {
		secret = map[string]string{"file": t.secretFile}
	}
	secured := map[string]any{"enabled": t.tls}
	if t.ca != "" {
		secured["ca"] = t.ca
	}
	doc, err := json.Marshal(map[string]any{"nodes": []any{map[string]any{
		"key": keyOf(t.addr), "addr": t.addr, "username": t.user, "secret": secret, "tls": secured,
	}}})
	if err != nil {
		return nil, err
	}
	doc = bytes.ReplaceAll(doc, []byte(`\u0026`), []byte("&")) // json.Marshal is made for HTML
	return config.Parse(doc, t.environ)
}

// keyOf returns the key of a node that has none: its host, if that may be one.
func keyOf(addr string) string {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	node := ami.Node{Key: host, Addr: "192.0.2.1", Username: "u", Secret: ami.NewSecret("s")}
	if ami.Check([]ami.Node{node}) != nil {
		return "server"
	}
	return host
}

// A finding is one thing that is wrong with a configuration, or doubtful.
type finding struct {
	Severity string `json:"severity"` // "error" or "warning"
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Path     string `json:"path,omitempty"`
	Env      string `json:"env,omitempty"`
	Value    string `json:"value,omitempty"`
	Allowed  string `json:"allowed,omitempty"`
	Text     string `json:"text"` // with path, variable, value and what is allowed
}

// String returns file:line: and the text.
func (f finding) String() string {
	s := ""
	if f.File != "" {
		s = f.File + ": "
		if f.Line > 0 {
			s = fmt.Sprintf("%s:%d: ", f.File, f.Line)
		}
	}
	return s + clean(f.Text)
}

// findings takes apart what package config says about a file, or about flags if
// there is none.
func findings(severity, file string, err error) []finding {
	var all config.Errors
	one, isOne := err.(*config.Error) //nolint:errorlint // a warning, which comes bare
	many, isMany := errors.AsType[config.Errors](err)
	switch {
	case isOne:
		all = config.Errors{one}
	case isMany:
		all = many
	default:
		text := err.Error()
		if e, ok := errors.AsType[*ami.FileError](err); ok {
			text = e.Err.Error()
		}
		return []finding{{Severity: severity, File: file, Text: text}}
	}
	var found []finding
	for _, e := range all {
		bare := *e
		bare.Line = 0
		f := finding{
			Severity: severity, File: file, Line: e.Line, Path: e.Path, Env: e.Env,
			Value: e.Value, Allowed: e.Allowed, Text: bare.Error(),
		}
		if file == "" {
			f.Line, f.Text = 0, flagNames.Replace(f.Text)
		}
		found = append(found, f)
	}
	return found
}

// flagNames puts the flags in place of what they become.
var flagNames = strings.NewReplacer(
	"nodes[0].secret.file", "--secret-file", "nodes[0].secret.env = AMI_SECRET", "$AMI_SECRET",
	"nodes[0].secret.env", "$AMI_SECRET", "nodes[0].addr", "--addr", "nodes[0].username", "--user",
	"nodes[0].tls.ca", "--ca", "nodes[0].key", "--addr",
)
