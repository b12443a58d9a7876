package load

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

var update = flag.Bool("update", false, "write the golden files")

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// failoverReport is a run of three seconds at 1000 calls/s: the primary fails at 1.2 s,
// nobody answers for 300 ms, then the secondary does, with one error.
func failoverReport(group func(string) string) Report {
	r := newRecorder(epoch)
	for i := range 3000 {
		due := time.Duration(i) * time.Millisecond
		call := Call{Due: epoch.Add(due), Latency: time.Duration(i%100+1) * 100 * time.Microsecond}
		switch {
		case i < 1200:
			call.Pod, call.Version = fmt.Sprintf("primary-5d4f8c7b9-%c2xkz", 'b'+rune(i%2)), "1"
		case i < 1500:
			call.Code, call.Message = codes.Unavailable, "connection refused"
		default:
			call.Pod, call.Version = "secondary-7bd9c6f6d4-2n4qb", "2"
		}
		if i == 2500 {
			call.Code, call.Message, call.SendLag = codes.Internal, "out of luck", 25*time.Millisecond
		}
		r.sending()
		r.record(call)
	}
	r.mark("primaries deleted", epoch.Add(1200*time.Millisecond))
	r.mark("primaries back", epoch.Add(2900*time.Millisecond))
	cfg := Config{Target: "127.0.0.1:443", Rate: 1000, Group: group}.withDefaults()
	report := newReport(cfg, r.recording(), epoch.Add(3*time.Second+10*time.Millisecond))
	report.Attempts, report.TransparentRetries = 3002, 2
	return report
}

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

func TestGoldenReports(t *testing.T) {
	grouped, plain := failoverReport(GroupByDeployment), failoverReport(nil)
	encoded, err := grouped.JSON(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"timeline-groups.golden": grouped.Timeline(time.Second),
		"timeline-pods.golden":   plain.Timeline(500 * time.Millisecond),
		"summary.golden":         grouped.Summary(),
		"report.json.golden":     string(encoded),
	} {
		assertGolden(t, name, got)
	}
}

func TestAnEmptyReportRenders(t *testing.T) {
	report := newReport(Config{Target: "a", Rate: 1}, newRecorder(epoch).recording(), epoch)
	if !strings.HasSuffix(report.Summary(), "\nfailed: 0 of 0\n") {
		t.Errorf("summary is %s", report.Summary())
	}
	if lines := strings.Count(report.Timeline(0), "\n"); lines != 1 {
		t.Errorf("timeline has %d lines, want the heading only", lines)
	}
	encoded, err := report.JSON(0)
	if err != nil || !json.Valid(encoded) {
		t.Errorf("JSON is %s, %v", encoded, err)
	}
}

func TestVersionsAreShownWhenPodsAreMany(t *testing.T) {
	r := newRecorder(epoch)
	for i := range maxPodParties + 1 {
		r.record(Call{Due: epoch.Add(time.Duration(i) * time.Second), Pod: fmt.Sprint("pod-", i), Version: "v7"})
	}
	timeline := newReport(Config{}, r.recording(), epoch).Timeline(time.Second)
	if !strings.Contains(timeline, "v7") || strings.Contains(timeline, "pod-") {
		t.Errorf("timeline shows:\n%s", timeline)
	}
	if shown := strings.Count(timeline, "100%"); shown != maxPodParties+1 {
		t.Errorf("%d lines have a share, want %d", shown, maxPodParties+1)
	}
}

func TestLongestGapIsBetweenAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		calls    []Call
		from, to time.Duration
	}{
		"no calls":          {nil, 0, 10},
		"all failed":        {[]Call{{Latency: 1, Code: codes.Internal}}, 0, 10},
		"at the start":      {[]Call{{Due: epoch.Add(7)}}, 0, 7},
		"between":           {[]Call{{Due: epoch.Add(1)}, {Due: epoch.Add(9)}}, 1, 9},
		"by a slow success": {[]Call{{Due: epoch, Latency: 1}, {Due: epoch, Latency: 8}}, 1, 8},
		"not in order":      {[]Call{{Due: epoch.Add(8)}, {Due: epoch.Add(1)}, {Due: epoch.Add(4)}}, 4, 8},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(epoch)
			for _, call := range test.calls {
				if call.Due.IsZero() {
					call.Due = epoch
				}
				r.record(call)
			}
			got := longestGap(r.recording(), epoch.Add(10))
			if want := (Gap{From: epoch.Add(test.from), To: epoch.Add(test.to)}); got != want {
				t.Errorf("gap is %v, want %v", got, want)
			}
		})
	}
}

func TestRecordingsDoNotChange(t *testing.T) {
	r := newRecorder(epoch)
	r.record(Call{Due: epoch, Pod: "a"})
	before := r.recording()
	r.record(Call{Due: epoch, Pod: "b"})
	if len(before.calls) != 1 || len(before.pods) != 1 {
		t.Errorf("the recording has %d calls and pods %v", len(before.calls), before.pods)
	}
}

func TestTablesAreBounded(t *testing.T) {
	var messages table
	for i := range maxValues + 5 {
		messages.index(fmt.Sprint(i))
	}
	if len(messages.values) != maxValues+1 || messages.values[maxValues] != placeholder {
		t.Errorf("%d values are stored, want %d and a placeholder", len(messages.values), maxValues)
	}
	if messages.index("0") != 0 {
		t.Error("an early value is lost")
	}
}
