package spec

import (
	"io/fs"
	"syscall"
)

func (id *identity) addSys(info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		id.ctime, id.inode, id.dev = s.Ctim.Nano(), s.Ino, s.Dev
	}
}
