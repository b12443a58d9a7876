package rig

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Entries as an API server 1.36 writes them, but for the fields that nobody reads.
const (
	foundNothing = `{"stage":"ResponseComplete","verb":"get","objectRef":{"resource":"services","namespace":"shop-0","name":"x"},"responseStatus":{"metadata":{},"status":"Failure","code":404},"stageTimestamp":"2026-01-01T10:00:01.000000Z"}`
	applied      = `{"stage":"ResponseComplete","verb":"patch","objectRef":{"resource":"exposedservices","subresource":"status"},"responseStatus":{"code":200},"stageTimestamp":"2026-01-01T10:00:02.000000Z"}`
	watchBegins  = `{"stage":"ResponseStarted","verb":"watch","objectRef":{"resource":"services"},"responseStatus":{"code":200},"stageTimestamp":"2026-01-01T10:00:03.000000Z"}`
	watchEnds    = `{"stage":"ResponseComplete","verb":"watch","objectRef":{"resource":"services"},"responseStatus":{"code":200},"stageTimestamp":"2026-01-01T10:00:04.000000Z"}`
	discovery    = `{"stage":"ResponseComplete","verb":"get","requestURI":"/apis","responseStatus":{"code":200},"stageTimestamp":"2026-01-01T10:00:02.500000Z"}`
)

func TestRequestsAreCountedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log := newRequestLog(path)
	check := func(want Requests) {
		t.Helper()
		got, err := log.Counts()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	write := func(text string) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	check(Requests{})
	// A line that is still being written counts when it is complete.
	write(foundNothing + "\n" + applied[:20])
	first := Requests{{Verb: "get", Resource: "services", Code: http.StatusNotFound}: 1}
	check(first)
	write(applied[20:] + "\n" + watchBegins + "\n" + watchEnds + "\n" + discovery + "\n")
	all := Requests{
		{Verb: "get", Resource: "services", Code: http.StatusNotFound}: 1, {Verb: "patch", Resource: "exposedservices/status"}: 1,
		{Verb: "watch", Resource: "services"}: 1, {Verb: "get", Resource: "(discovery)"}: 1,
	}
	check(all)
	last, err := log.UntilQuiet(t.Context(), time.Millisecond)
	if want := time.Date(2026, 1, 1, 10, 0, 2, 500_000_000, time.UTC); err != nil || !last.Equal(want) {
		t.Errorf("the last request was at %s (%v), want %s: a watch is no work", last, err, want)
	}
	since := all.Since(first)
	if got := since.Sum(All); got != 3 {
		t.Errorf("there were %d requests since, want 3: %v", got, since)
	}
	if got := since.Sum(Writing); got != 1 {
		t.Errorf("there was %d write since, want 1: %v", got, since)
	}
	if got := all.Sum(InVain); got != 1 {
		t.Errorf("there was %d GET in vain, want 1: %v", got, all)
	}
}
