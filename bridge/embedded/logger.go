package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// A logger takes the server's own log to slog, and keeps what it would die of.
type logger struct {
	slog *slog.Logger

	mu   sync.Mutex
	died error
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.slog.Error("nats-server", "text", text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died = errors.Join(l.died, errors.New("embedded: "+text))
}

func (l *logger) Errorf(format string, v ...any) {
	l.slog.Error("nats-server", "text", fmt.Sprintf(format, v...))
}

func (l *logger) Warnf(format string, v ...any) {
	l.slog.Warn("nats-server", "text", fmt.Sprintf(format, v...))
}

// Noticef takes the banner and the like: of interest to who debugs.
func (l *logger) Noticef(format string, v ...any) {
	l.slog.Debug("nats-server", "text", fmt.Sprintf(format, v...))
}

// Debugf and Tracef are not called: neither level is on.
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}
