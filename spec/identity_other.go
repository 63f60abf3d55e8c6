//go:build !linux

package spec

import "io/fs"

// addSys has nothing to add: agents run on Linux, elsewhere a set is only validated.
func (id *identity) addSys(fs.FileInfo) {}
