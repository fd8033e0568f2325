package main

import (
	"runtime"
	"syscall"
	"time"
)

// A meter measures time, CPU time of this process and allocations.
type meter struct {
	start  time.Time
	cpu    time.Duration
	allocs uint64
}

func begin() meter {
	runtime.GC()
	return meter{start: time.Now(), cpu: cpu(), allocs: mallocs()}
}

// end returns what a unit took.
func (m meter) end(units int) Result {
	wall, used := time.Since(m.start), cpu()-m.cpu
	n := float64(units)
	return Result{
		Wall: time.Duration(float64(wall) / n), CPU: time.Duration(float64(used) / n),
		Allocs: float64(mallocs()-m.allocs) / n,
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// cpu is the user and system time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // not on this system
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
