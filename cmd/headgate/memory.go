package main

import (
	"fmt"
	"runtime/debug"
	"strconv"
)

// envMemoryLimit is how many bytes the container may use, as the downward API says it.
const envMemoryLimit = "HEADGATE_MEMORY_LIMIT"

// The collector starts in time to stay below this share of the memory limit: what is not on the heap needs the rest.
const heapTenths, tenths = 9, 10

// heapGrowth is by how many percent the heap grows between two collections, unless GOGC says so. Nearly all of it are caches, which live for
// ever: the runtime's 100 would hold twice of them in memory. A thousand settled ExposedServices are collected in tens of milliseconds.
const heapGrowth = 50

// limitGarbage has the collector start earlier than the runtime would.
func limitGarbage(env func(string) string) {
	if env("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// limitMemory has the collector work harder before the container's memory limit is reached. It returns the limit in bytes;
// 0: there is none, or GOMEMLIMIT says what it is to be.
func limitMemory(env func(string) string) (int64, error) {
	text := env(envMemoryLimit)
	if text == "" || env("GOMEMLIMIT") != "" {
		return 0, nil
	}
	bytes, err := strconv.ParseInt(text, 10, 64)
	if err != nil || bytes <= 0 {
		return 0, fmt.Errorf("%s is %q: must be a number of bytes", envMemoryLimit, text)
	}
	limit := bytes / tenths * heapTenths
	debug.SetMemoryLimit(limit)
	return limit, nil
}
