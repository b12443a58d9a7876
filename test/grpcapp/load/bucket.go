package load

import "time"

// Bucket summarises some of a run's calls.
type Bucket struct {
	// Offset is the begin of the bucket, from the start of the run.
	Offset time.Duration
	// Calls have ended; Failed of them failed.
	Calls, Failed int
	Answers
	// Latency is that of the calls that succeeded.
	Latency Latency
	// Marks are the labels that fall into the bucket.
	Marks []Mark
}

// Mark is a label in the timeline.
type Mark struct {
	// At counts from the start of the run.
	At    time.Duration
	Label string
}

// newBucket summarises the calls, which are of the recording, without marks. It begins
// when the first of them was due.
func newBucket(recording recording, calls []record, group func(pod string) string) Bucket {
	bucket := Bucket{
		Calls:   len(calls),
		Answers: countAnswers(recording, calls, group),
		Latency: latencyOf(calls),
	}
	for i, call := range calls {
		if i == 0 || call.due < bucket.Offset {
			bucket.Offset = call.due
		}
		if call.failed() {
			bucket.Failed++
		}
	}
	return bucket
}
