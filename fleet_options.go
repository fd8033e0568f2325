package ami

import "maps"

// WithConnectLimit bounds the attempts to connect, from dialling to login, that
// the nodes of a cluster make at the same time, first come first served. A
// lookup of a host name does not count. Default 64; 1 to 10,000. For NewCluster
// only.
func WithConnectLimit(n int) Option {
	return func(c *config) { c.fleet.permits, c.fleet.set = n, append(c.fleet.set, "ConnectLimit") }
}

// WithRouter chooses the node for actions that Cluster.Send gets without To and
// ByKey. Default: RoundRobin. For NewCluster only.
func WithRouter(r Router) Option {
	return func(c *config) { c.fleet.router, c.fleet.set = r, append(c.fleet.set, "Router") }
}

// WithDefaultNode sends actions without To and ByKey to one node and no other.
// The node need not exist yet. For NewCluster only, and not with WithRouter.
func WithDefaultNode(key string) Option {
	return func(c *config) { c.fleet.home, c.fleet.set = key, append(c.fleet.set, "DefaultNode") }
}

// WithWeights sets how large the shares of nodes are when more than one has
// events to deliver, by key: 1 to 100. A node that is not in it has weight 1.
// For NewCluster only.
func WithWeights(weights map[string]int) Option {
	return func(c *config) {
		c.fleet.weights, c.fleet.set = maps.Clone(weights), append(c.fleet.set, "Weights")
	}
}
