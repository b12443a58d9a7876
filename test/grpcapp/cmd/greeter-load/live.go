package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// live prints what ended since the line before.
type live struct {
	out          io.Writer
	second, seen int
	failed       int
}

func newLive(out io.Writer) *live { return &live{out: out} }

func (l *live) print(run *load.Run) {
	bucket, seen := run.Recent(l.seen)
	l.second++
	l.seen = seen
	l.failed += bucket.Failed

	var parties []string
	calls, _ := bucket.Parties()
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		parties = append(parties, fmt.Sprintf("%s %d", name, calls[name]))
	}
	if bucket.Unanswered > 0 {
		parties = append(parties, fmt.Sprintf("nobody %d", bucket.Unanswered))
	}
	fmt.Fprintf(l.out, "%5ds  ended %d, failed %d, p99 %s; %s; so far failed %d of %d\n",
		l.second, bucket.Calls, bucket.Failed, bucket.Latency.P99, strings.Join(parties, ", "), l.failed, l.seen)
}
