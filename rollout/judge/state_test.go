package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anything draws judges and ticks that make no sense, and some that do.
type anything struct {
	number *rapid.Generator[float64]
	count  *rapid.Generator[uint64]
	time   *rapid.Generator[time.Duration]
	bucket *rapid.Generator[Bucket]
}

func newAnything() anything {
	a := anything{
		number: rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 2), rapid.Just(math.NaN()), rapid.Just(math.Inf(1))),
		count:  rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 100)),
		time:   rapid.Map(rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 3e10)), func(n int64) time.Duration { return time.Duration(n) }),
	}
	a.bucket = rapid.Custom(func(t *rapid.T) Bucket { return Bucket{UpTo: a.time.Draw(t, "up to"), Count: a.count.Draw(t, "count")} })
	return a
}

func (a anything) margin(t *rapid.T) Margin {
	if rapid.Bool().Draw(t, "usual margin") {
		return Margin{2, 0.005}
	}
	return Margin{Ratio: a.number.Draw(t, "ratio"), Difference: a.number.Draw(t, "difference")}
}

func (a anything) judge(t *rapid.T) Judge {
	prove := a.margin(t)
	return Judge{
		Alpha: a.number.Draw(t, "alpha"), Beta: a.number.Draw(t, "beta"), Planned: a.time.Draw(t, "planned"),
		Errors: &Rate{Tolerate: a.margin(t), Prove: a.margin(t)}, Cancelled: &Rate{Tolerate: a.margin(t), Prove: a.margin(t)},
		Latency:      &Latency{Slowdown: a.number.Draw(t, "slowdown"), Prove: &prove},
		MaxErrorRate: a.number.Draw(t, "max"), Shares: rapid.SliceOfN(rapid.Int32Range(1, allParts), 0, mostShares).Draw(t, "shares"),
	}
}

func (a anything) counts(t *rapid.T) Counts {
	c := Counts{
		Calls: a.count.Draw(t, "calls"), Errors: a.count.Draw(t, "errors"), Cancelled: a.count.Draw(t, "cancelled"),
		Begun: a.count.Draw(t, "begun"), InFlight: a.count.Draw(t, "in flight"),
		TellsBegun: rapid.Bool().Draw(t, "tells begun"), TellsCancelled: rapid.Bool().Draw(t, "tells cancelled"),
		Latencies: rapid.SliceOfN(a.bucket, 0, 60).Draw(t, "latencies"),
	}
	for i := range rapid.IntRange(0, 30).Draw(t, "pods") {
		c.Pods = append(c.Pods, PodCounts{ID: fmt.Sprint(i), Calls: a.count.Draw(t, "pod calls"), Errors: a.count.Draw(t, "pod errors")})
	}
	return c
}

func (a anything) tick(t *rapid.T) Tick {
	return Tick{
		Elapsed: a.time.Draw(t, "elapsed"), Canary: a.counts(t), Stable: a.counts(t),
		Fresh: rapid.Bool().Draw(t, "fresh"), Cold: rapid.Bool().Draw(t, "cold"),
	}
}

func finite(t *rapid.T, v Verdict) {
	t.Helper()
	numbers := []float64{v.Evidence, v.Alarm, v.Threshold, v.Spread, v.Expected}
	for _, f := range v.Tests {
		numbers = append(numbers, f.Evidence)
	}
	for _, g := range v.Gates {
		numbers = append(numbers, g.Evidence, g.Threshold, g.Fresh, g.FreshNeeded, g.Part())
	}
	if slices.ContainsFunc(numbers, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
		t.Fatalf("not all are numbers: %+v", v)
	}
}

// Any input whatever: the state stays within its size, is read back exactly, and holds no NaN and no infinity.
func TestJudgeOfAnyInput(t *testing.T) {
	a := newAnything()
	rapid.Check(t, func(t *rapid.T) {
		j := a.judge(t)
		s := j.Learn(State{}, rapid.SliceOfN(a.bucket, 0, 60).Draw(t, "window"))
		for range rapid.IntRange(1, 6).Draw(t, "ticks") {
			switch rapid.IntRange(0, 9).Draw(t, "besides") {
			case 0:
				s = j.NextStep(s)
			case 1:
				s = j.Recheck(s)
			case 2:
				s = j.Learn(s, rapid.SliceOfN(a.bucket, 0, 60).Draw(t, "window"))
			}
			next := a.tick(t)
			for range rapid.SampledFrom([]int{1, 1, 1, 30}).Draw(t, "times") {
				next.Fresh = !next.Fresh
				s = j.Update(s, next)
			}
			finite(t, j.Decide(s))
			readBack(t, s)
		}
	})
}

func readBack(t *rapid.T, s State) {
	t.Helper()
	text := s.String()
	back, err := ParseState(text)
	if err != nil || back.String() != text || len(text) > MostText {
		t.Fatalf("%q (%d bytes) reads as %q, %v", text, len(text), back, err)
	}
	quoted, err := json.Marshal(s)
	var again State
	if err != nil || json.Unmarshal(quoted, &again) != nil || again.String() != text {
		t.Fatalf("%s reads as %q, %v", quoted, again, err)
	}
}

// The largest there is: all tests, shares, bins, pods and blocks, each with the longest numbers.
func TestTheLargestStateFits(t *testing.T) {
	test := func(alternatives int) process {
		return process{parts: slices.Repeat([]Nats{leastNats * natsPerUnit}, alternatives), spent: budget, age: Infinity, base: leastNats * natsPerUnit}
	}
	all := sums{Infinity, mostCount, mostCount, mostCount, mostCount, mostCount, mostCount}
	bins := slices.Repeat([]uint64{mostCount}, mostBins)
	s := State{
		key: Default().key(), canary: Totals{mostCount, mostCount, mostCount, mostCount}, stable: Totals{mostCount, mostCount, mostCount, mostCount},
		expected: mostMilli, suspected: true, failed: true, tellsCancelled: true,
		window: window{count: bins}, canaryTook: bins, stableTook: bins,
		sparing: test(5), episode: all, seen: all, carry: all, open: block{sums: all, canaryTook: bins, stableTook: bins, judged: true},
		spread:     spread{squares: mostMilli, expected: mostMilli, variance: mostMilli},
		unanswered: unanswered{Infinity, mostCount, mostCount, mostCount, mostCount, mostCount, mostCount},
	}
	for i := range mostBins {
		s.window.upTo = append(s.window.upTo, Infinity-mostBins+1+time.Duration(i))
	}
	for _, k := range []kind{kindErrors, kindCancelled} {
		s.alarm[k], s.verdict[k], s.coldAlarm[k], s.coldVerdict[k] = test(alternatives), test(alternatives), test(alternatives), test(alternatives)
	}
	s.alarm[kindMaxErrorRate], s.verdict[kindMaxErrorRate], s.verdict[kindLatency] = test(absoluteGrid), test(absoluteGrid), test(mostAlternatives)
	for k := range gateKinds {
		s.fresh[k] = test(1 + len(within))
		for i := range int32(mostShares) {
			s.gates = append(s.gates, proof{allParts - i, k, test(1 + len(within))})
		}
	}
	for range mostPods {
		s.spread.pods = append(s.spread.pods, podSum{math.MaxUint32, mostCount, mostCount, mostCount, mostCount})
	}
	for range mostBlocks {
		s.blocks = append(s.blocks, block{sums: all, judged: true, outage: true})
	}
	text := s.String()
	if back, err := ParseState(text); err != nil || back.String() != text || len(text) > MostText {
		t.Errorf("%d bytes, at most %d: %v", len(text), MostText, err)
	}
	if usual := len(realText(t)); usual > MostText/4 {
		t.Errorf("a usual state takes %d bytes", usual)
	}
}

// Latencies that are learnt while the first block is open must not change its bins.
func TestLearningWhileABlockIsOpenChangesNoBins(t *testing.T) {
	j := Default()
	s := j.Learn(State{}, []Bucket{{UpTo: time.Millisecond, Count: 300}, {UpTo: Infinity}})
	next := tick(10, 0, 90, 0)
	next.Canary.Latencies, next.Stable.Latencies = []Bucket{{UpTo: time.Millisecond, Count: 10}}, []Bucket{{UpTo: time.Millisecond, Count: 90}}
	s = j.Update(s, next)
	s = j.Learn(s, []Bucket{{UpTo: time.Second, Count: 5}})
	s = j.after(s, 9, next)
	if canary, stable := s.Took(); canary.Calls != 100 || stable.Calls != 900 {
		t.Errorf("judged are %v and %v", canary, stable)
	}
}

func TestAStateOfAnotherKeyStartsOver(t *testing.T) {
	j, other := onlyErrors(), onlyErrors()
	other.Errors = &Rate{Tolerate: Margin{3, 0.01}, Prove: j.Errors.Prove}
	s := j.after(State{}, 120, tick(10, 5, 90, 0))
	if v := j.Decide(s); v.Decision != RollBack {
		t.Fatalf("the scene is not one of a rollback: %+v", v)
	}
	if v := other.Decide(s); v.Decision != Hold || v.Canary != (Totals{}) {
		t.Errorf("evidence against another margin counts: %+v", v)
	}
	if got, want := other.Update(s, tick(7, 3, 50, 0)), other.Update(State{}, tick(7, 3, 50, 0)); got.String() != want.String() {
		t.Errorf("the state of another margin is carried on: %v", got)
	}
	later := j
	later.Planned, later.Shares = 5*time.Hour, []int32{5, allParts}
	if v := later.Decide(s); v.Decision != RollBack {
		t.Errorf("another plan made the evidence void: %+v", v)
	}
}

// realText is the text of a state in which there is something of everything.
func realText(t *testing.T) string {
	t.Helper()
	j := Default()
	j.MaxErrorRate = 0.05
	s := j.Learn(State{}, []Bucket{{UpTo: time.Millisecond, Count: 300}, {UpTo: Infinity}})
	next := tick(10, 1, 90, 3).withPods(1, 1, 1)
	next.Canary.Latencies, next.Stable.Latencies = []Bucket{{UpTo: time.Millisecond, Count: 10}}, []Bucket{{UpTo: time.Millisecond, Count: 90}}
	next.Canary.TellsBegun, next.Stable.TellsBegun, next.Canary.Begun, next.Stable.Begun = true, true, 11, 90
	s = j.after(s, 65, next)
	s = j.Update(s, tick(1, 0, 0, 0))
	text := s.String()
	if back, err := ParseState(text); err != nil || back.String() != text {
		t.Fatalf("%q reads as %q, %v", text, back, err)
	}
	return text
}

func TestATruncatedStateIsRefused(t *testing.T) {
	text := realText(t)
	last := strings.LastIndexByte(text, ',') + 1
	for n := 1; n < len(text); n++ {
		s, err := ParseState(text[:n])
		if n > last && err == nil {
			continue // the last number has lost digits: that is a state, too
		}
		if err == nil || s.String() != "" {
			t.Errorf("%d of %d bytes read as %q", n, len(text), s)
		}
	}
}

func TestTextsThatAreNoStateAreRefused(t *testing.T) {
	const fields = 36
	// with replaces some fields of the text of nearly nothing.
	with := func(replaced map[int]string) string {
		list := make([]string, fields)
		list[0], list[2], list[3], list[34], list[35] = stateForm, "1,0,0,0,9,0,0,0", "0,0", "0", "0"
		for at, text := range replaced {
			list[at] = text
		}
		return strings.Join(list, ";")
	}
	for name, text := range map[string]string{
		"nothing more": with(nil), "a window": with(map[int]string{4: "10,9223372036854775807", 5: "3,4"}),
		"a test": with(map[int]string{7: "500000000,0,0,-1"}), "a proof": with(map[int]string{34: "1;1000000,0,500000000,0,0,-1"}),
		"a block": with(map[int]string{35: "1;1,10,9,0,0,9,0,0"}),
	} {
		if _, err := ParseState(text); err != nil {
			t.Fatalf("%s, %q: %v", name, text, err)
		}
	}
	for name, replaced := range map[string]map[int]string{
		"another version":          {0: "c2"},
		"five totals":              {2: "1,0,9,0,0"},
		"a total below zero":       {2: "1,0,0,9,0,-1"},
		"no findings":              {3: ""},
		"expected errors below 0":  {3: "-1,0"},
		"no last bucket":           {4: "10,20", 5: "3,4"},
		"bounds that fall":         {4: "20,10,9223372036854775807", 5: "3,4,5"},
		"bounds without counts":    {4: "10,9223372036854775807", 5: "3"},
		"counts without bounds":    {5: "3"},
		"half of the judged":       {4: "10,9223372036854775807", 5: "3,4", 6: "1,2,3"},
		"judged of no window":      {6: "1,2"},
		"overspent":                {7: "1000000001,0,0,-1"},
		"a test before its start":  {7: "500000000,-1,-1"},
		"no parts":                 {7: "500000000,0"},
		"too many parts":           {7: "500000000,0,0" + strings.Repeat(",-1", mostAlternatives+1)},
		"evidence beyond all":      {7: "500000000,0,0,999999999999"},
		"words":                    {7: "500000000,0,0,x"},
		"a short episode":          {27: "1,2,3"},
		"a time beyond all":        {28: "18446744073709551615,1,1,1,1,1,1"},
		"a short block":            {30: "1,2"},
		"an open block of nothing": {31: "1,2"},
		"unanswered of six":        {32: "1,2,3,4,5,6"},
		"half a pod":               {33: "1,2,3,4,5"},
		"a spread beyond all":      {33: "18446744073709551615,1,1"},
		"a proof of no share":      {34: "1;0,0,500000000,0,0,-1"},
		"a proof of nothing":       {34: "1;1000000,3,500000000,0,0,-1"},
		"fewer proofs than said":   {34: "9"},
		"no number of proofs":      {34: ""},
		"too many blocks":          {35: fmt.Sprint(mostBlocks+1) + strings.Repeat(";1,10,9,0,0,9,0,0", mostBlocks+1)},
		"something after the end":  {35: "0;1"},
	} {
		if s, err := ParseState(with(replaced)); err == nil || s.String() != "" {
			t.Errorf("%s: %q reads as %q, %v", name, with(replaced), s, err)
		}
	}
}
