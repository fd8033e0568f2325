// Package atomicfile replaces small files as a whole.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace gives a file new content: whatever happens, it has the old or the new.
// With sync the new one is on the disk when Replace returns; without it the death
// of the machine may leave an empty file.
func Replace(path string, content []byte, sync bool) error {
	next := path + ".tmp"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	if sync {
		return SyncNames(filepath.Dir(path))
	}
	return nil
}
