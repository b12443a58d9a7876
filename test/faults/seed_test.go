package faults

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// seedVariable names the environment variable that makes the choices of an earlier run again.
const seedVariable = "HEADGATE_FAULTS_SEED"

// baseSeed is that of this run; given: somebody wants the choices of an earlier one.
var baseSeed = sync.OnceValues(func() (seed uint64, given bool) {
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			panic(seedVariable + " is no whole number: " + text)
		}
		return seed, true
	}
	return uint64(time.Now().UnixNano()) & (1<<32 - 1), false
})

// choices are random ones for a test, by the seed of the run and the test's name. A test that fails says how to repeat them.
func choices(t *testing.T) *rand.Rand {
	t.Helper()
	seed, _ := baseSeed()
	sayOnFailure(t, seed)
	name := fnv.New64a()
	_, _ = name.Write([]byte(t.Name()))
	return rand.New(rand.NewPCG(seed, name.Sum64()))
}

func sayOnFailure(t *testing.T, seed uint64) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat it: %s=%d go test%s ./test/faults -run '^%s$'", seedVariable, seed, short(), t.Name())
		}
	})
}

// short is the flag, if it was given: the choices depend on it.
func short() string {
	if testing.Short() {
		return " -short"
	}
	return ""
}

// sample are the rows that run: all, or with -short so many that the seed chooses.
func sample[T any](t *testing.T, rows []T, most int) []T {
	t.Helper()
	random := choices(t)
	if !testing.Short() || len(rows) <= most {
		return rows
	}
	rows = append([]T(nil), rows...)
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows[:most]
}
