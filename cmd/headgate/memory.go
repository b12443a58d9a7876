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
