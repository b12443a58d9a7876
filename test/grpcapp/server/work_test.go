package server

import (
	"runtime"
	"testing"
	"time"
)

func TestWorkTakesProcessorTimeAndNoMore(t *testing.T) {
	const work, calls = 2 * time.Millisecond, 50
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, err := processorTime()
	if err != nil {
		t.Fatal(err)
	}
	for range calls {
		if err := burn(work); err != nil {
			t.Fatal(err)
		}
	}
	ended, err := processorTime()
	if err != nil {
		t.Fatal(err)
	}
	if got := ended - began; got < calls*work || got > 2*calls*work {
		t.Errorf("%d calls of %s took %s of the processor", calls, work, got)
	}
}
