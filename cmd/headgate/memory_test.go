package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestTheMemoryLimitIsThatOfTheContainer(t *testing.T) {
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64) })
	for name, c := range map[string]struct {
		env     map[string]string
		limit   int64
		invalid bool
	}{
		"no limit":             {},
		"nine tenths of it":    {env: map[string]string{envMemoryLimit: "268435456"}, limit: 241591905},
		"GOMEMLIMIT has a say": {env: map[string]string{envMemoryLimit: "268435456", "GOMEMLIMIT": "100MiB"}},
		"not in bytes":         {env: map[string]string{envMemoryLimit: "256Mi"}, invalid: true},
		"nothing":              {env: map[string]string{envMemoryLimit: "0"}, invalid: true},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			got, err := limitMemory(func(key string) string { return c.env[key] })
			if got != c.limit || (err != nil) != c.invalid {
				t.Fatalf("got %d, %v", got, err)
			}
			want := c.limit
			if want == 0 {
				want = math.MaxInt64
			}
			if is := debug.SetMemoryLimit(-1); is != want {
				t.Errorf("the collector has %d", is)
			}
		})
	}
}

func TestTheHeapGrowsByHalf(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	limitGarbage(func(string) string { return "80" })
	if is := debug.SetGCPercent(100); is != 100 {
		t.Errorf("the heap grows by %d %%, although GOGC has a say", is)
	}
	limitGarbage(func(string) string { return "" })
	if is := debug.SetGCPercent(100); is != heapGrowth {
		t.Errorf("the heap grows by %d %%", is)
	}
}
