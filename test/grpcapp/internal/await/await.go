// Package await waits in tests for what happens elsewhere.
package await

import (
	"testing"
	"time"
)

const (
	patience = 10 * time.Second
	between  = 2 * time.Millisecond
)

// Until returns when the condition holds, and fails the test when it does not within
// ten seconds.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(between)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}
