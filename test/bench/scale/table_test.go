package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

func TestTableHasAColumnForEachOperator(t *testing.T) {
	var before, now result
	before.add("new", "all Ready after", "%d s", 8)
	before.addRequests("requests", rig.Requests{
		{Verb: "get", Resource: "services", Code: http.StatusNotFound}: 4, {Verb: "patch", Resource: "services"}: 4,
	}, 2)
	now.add("new", "all Ready after", "%d s", 3)
	now.addRequests("requests", rig.Requests{{Verb: "patch", Resource: "services"}: 4, {Verb: "create", Resource: "events"}: 1}, 2)
	want := `
### 2 ExposedServices

| | ba9c6f1 | this tree |
|---|---:|---:|
| **new** | | |
| all Ready after | 8 s | 3 s |
| **requests** | | |
| requests, all | 4.00 | 2.50 |
| requests that write | 2.00 | 2.50 |
| GETs that found nothing | 2.00 | 0.00 |
| · get services → 404 | 2.00 |  |
| · patch services | 2.00 | 2.00 |
| · create events |  | 0.50 |
`
	got := table("2 ExposedServices", []column{{name: "ba9c6f1", rows: before.rows}, {name: "this tree", rows: now.rows}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPercentileIsOneOfTheDurations(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100-i) * time.Millisecond
	}
	for share, want := range map[float64]int64{0: 1, 0.5: 50, 0.9: 90, 0.99: 99, 1: 100} {
		if got := percentile(hundred, share); got.Milliseconds() != want {
			t.Errorf("percentile %.2f of 1 to 100 ms is %s, want %d ms", share, got, want)
		}
	}
	if got := percentile(hundred[:1], 0.99); got != 100*time.Millisecond {
		t.Errorf("of one duration it is %s", got)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-n", "1"}, {"-n", "100,many"}, {"-idle", "0s"}, {"-singles", "0"}, {"100"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	o, err := parseOptions([]string{"-n", "100, 10000", "-operator-flags", "--workers=8 --log-level=error"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{100, 10000}, o.counts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"--workers=8", "--log-level=error"}, o.args); diff != "" {
		t.Error(diff)
	}
}
