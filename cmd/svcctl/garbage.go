package main

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// headroom is what a short command may use beyond what it needs before its garbage is
// worth collecting: reading a thousand files makes 140 MB of it.
const headroom = 24 << 20

// ballast is never written to, so that it takes no memory but counts as needed.
var ballast []byte

// collectLess makes a command that reads a set and ends spend its time on the set. Small
// sets end before the first collection; from then on the heap may grow to twice of what
// is needed and headroom together, so that memory stays linear in the set.
var collectLess = sync.OnceFunc(func() {
	debug.SetGCPercent(400)
	first := new([64]byte) // gone with the first collection
	runtime.AddCleanup(first, func(struct{}) {
		ballast = make([]byte, headroom)
		runtime.KeepAlive(ballast)
		debug.SetGCPercent(100)
	}, struct{}{})
})
