//go:build unix

package atomicfile

import (
	"errors"
	"os"
)

// SyncNames forces the names in a folder to the disk.
func SyncNames(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
