package redact

import (
	"os"
	"path/filepath"
	"strings"
)

// FileName returns the name of a file that is to hold a secret as it may be shown,
// relative names being those below dir. It may be the secret itself, which somebody
// has put in place of the file, and then it is Mask. What exists is a name, and so
// is a path whose first directory exists: /run/secrets/ami, though ami is missing. A
// slash proves nothing, as Base64 has them.
func FileName(name, dir string) string {
	if strings.ContainsAny(name, "\r\n\x00") { // a key, with all of its lines
		return Mask
	}
	below := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	if _, err := os.Lstat(below(name)); err == nil {
		return name
	}
	start := len(filepath.VolumeName(name))
	for start < len(name) && os.IsPathSeparator(name[start]) {
		start++
	}
	for i := start; i < len(name); i++ {
		if os.IsPathSeparator(name[i]) {
			if info, err := os.Stat(below(name[:i])); err == nil && info.IsDir() {
				return name
			}
			break
		}
	}
	return Mask
}
