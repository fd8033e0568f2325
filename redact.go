package ami

import "github.com/apn/ami/frame"

// Redact returns a message byte for byte as it was received, but for what no log
// record of the client would show: values that are secrets by the built-in rules and
// those of WithRedaction, and the secret of the latest login wherever it stands. All
// line ends stay, and the name of the first header, so that it is still that
// message. It is for those who keep messages; any goroutine may call it at any time.
func (c *Client) Redact(f *frame.Frame) string {
	secret := c.node.Secret
	if s := c.secret.Load(); s != nil {
		secret = *s
	}
	return c.cfg.redact.Wire(f, secret.Reveal())
}
