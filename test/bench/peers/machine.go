package main

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes what is measured on: processors, memory, kernel.
func machine() string {
	var system unix.Utsname
	kernel := runtime.GOOS
	if unix.Uname(&system) == nil {
		kernel = unix.ByteSliceToString(system.Sysname[:]) + " " + majorMinor(unix.ByteSliceToString(system.Release[:]))
	}
	var memory unix.Sysinfo_t
	if unix.Sysinfo(&memory) != nil {
		return fmt.Sprintf("%d processors, %s, %s", runtime.NumCPU(), kernel, runtime.GOARCH)
	}
	return fmt.Sprintf("%d processors, %.0f GiB of memory, %s, %s", runtime.NumCPU(),
		float64(memory.Totalram)*float64(memory.Unit)/(1<<30), kernel, runtime.GOARCH)
}

func majorMinor(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
