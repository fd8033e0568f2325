// Package config makes nodes and client options of a YAML file and the
// environment.
//
//	c, err := config.Load("/etc/ami.yaml", os.Environ())
//	if err != nil {
//		return err // all that is wrong, each with its line and path
//	}
//	cluster, err := ami.NewCluster(c.Nodes(), c.Options()...)
//
// The file holds the nodes, what they have in common, and options:
//
//	defaults:
//	  username: app
//	  secret: {file: /run/secrets/ami}
//	  tls: {ca: /etc/ami/ca.pem}
//	nodes:
//	  - {key: pbx1, addr: pbx1.example.com}
//	  - {key: pbx2, addr: pbx2.example.com}
//	keepalive: {interval: 20s}
//
// Unknown keys, wrong types, values out of range and contradictions are refused,
// all of them at once. Ranges are those of the library itself. A variable AMI_…
// sets a single value in place of the file: AMI_KEEPALIVE_INTERVAL,
// AMI_DEFAULTS_SECRET_FILE. An empty variable counts as one that is not set.
//
// A Config prints and marshals as what is in force, defaults included and secrets
// masked. A Reloader brings a changed file into a running cluster. Schema is for
// editors. docs/configuration.md in the repository has all keys.
package config
