package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// stateForm marks the layout of the text, so that another version's state is refused instead of misread.
const stateForm = "d1"

// MostText is an upper bound on the length of a state's text, in bytes.
const MostText = 16384

// String writes the state in decimal numbers: some 1,000 bytes for errors alone, at most MostText. The start is the empty string.
// ParseState reads it back exactly.
func (s State) String() string {
	var w writer
	s.write(&w)
	var start writer
	State{}.write(&start)
	if text := w.text(); text != start.text() {
		return text
	}
	return ""
}

func (s State) write(w *writer) {
	w.add(stateForm)
	w.add(s.key)
	w.add(joined([]uint64{
		s.canary.Calls, s.canary.Errors, s.canary.Cancelled, s.canary.Begun, s.stable.Calls, s.stable.Errors, s.stable.Cancelled, s.stable.Begun,
	}))
	w.add(joined([]int64{int64(s.expected), flags(s.suspected, s.failed, s.tellsCancelled)}))
	w.add(joined(s.window.upTo))
	w.add(joined(s.window.count))
	w.add(joined(slices.Concat(s.canaryTook, s.stableTook)))
	for _, p := range processesOf(&s) {
		w.add(p.text())
	}
	w.add(s.episode.text())
	w.add(s.seen.text())
	w.add(s.carry.text())
	w.add(s.open.text())
	w.add(joined(slices.Concat(s.open.canaryTook, s.open.stableTook)))
	w.add(s.unanswered.text())
	w.add(s.spread.text())
	w.list(len(s.gates), func(i int) string {
		g := s.gates[i]
		return joined([]int64{int64(g.share), int64(g.kind)}) + "," + g.process.text()
	})
	w.list(len(s.blocks), func(i int) string { return s.blocks[i].text() })
}

// ParseState reads what String wrote. With an error it returns the start.
func ParseState(text string) (State, error) {
	if text == "" {
		return State{}, nil
	}
	r := reader{fields: strings.Split(text, ";")}
	s := r.state()
	if r.err != nil {
		return State{}, fmt.Errorf("reading the state of a judge: %w", r.err)
	}
	return s, nil
}

func (r *reader) state() (s State) {
	if r.next() != stateForm {
		r.fail("form", fmt.Errorf("it is not of the form %s", stateForm))
		return s
	}
	s.key = r.next()
	totals := numbers(r, "totals", 8, 8, parseCount)
	s.canary = Totals{Calls: totals[0], Errors: totals[1], Cancelled: totals[2], Begun: totals[3]}
	s.stable = Totals{Calls: totals[4], Errors: totals[5], Cancelled: totals[6], Begun: totals[7]}
	found := numbers(r, "findings", 2, 2, parseCount)
	s.expected = r.milli(found[0])
	setFlags(int64(found[1]&7), &s.suspected, &s.failed, &s.tellsCancelled) //nolint:gosec // three bits
	s.window = r.window()
	bins := len(s.window.upTo)
	s.canaryTook, s.stableTook = r.took("judged latencies", bins)
	for _, p := range processesOf(&s) {
		*p = r.process(r.next())
	}
	s.episode = r.sums(r.next())
	s.seen = r.sums(r.next())
	s.carry = r.sums(r.next())
	s.open = r.block(r.next())
	s.open.canaryTook, s.open.stableTook = r.took("latencies of the open block", bins)
	s.unanswered = r.unanswered(r.next())
	s.spread = r.spread(r.next())
	r.list(int(gateKinds)*mostShares, func(text string) { s.gates = append(s.gates, r.proof(text)) })
	r.list(mostBlocks, func(text string) {
		if text == "" { // only an open block may be empty, and a text that was cut off ends like this
			r.fail("block", errRange)
		}
		s.blocks = append(s.blocks, r.block(text))
	})
	if r.err == nil && len(r.fields) > 0 {
		r.fail("end", errRange)
	}
	return s
}

// MarshalText makes the state a string in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(text []byte) error {
	parsed, err := ParseState(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// processesOf are all tests but the proofs of shares, in the order of the text.
func processesOf(s *State) []*process {
	var list []*process
	for k := range kinds {
		list = append(list, &s.alarm[k], &s.verdict[k], &s.coldAlarm[k], &s.coldVerdict[k])
	}
	for k := range s.fresh {
		list = append(list, &s.fresh[k])
	}
	return append(list, &s.sparing)
}

// Bounds of what a text may hold.
const (
	mostAlternatives = 20
	mostShares       = 20
	mostBlocks       = 20
)

func (p process) text() string {
	if !p.begun() {
		return ""
	}
	return joined([]int64{p.spent, int64(p.age), int64(p.base)}) + "," + joined(p.parts)
}

func (r *reader) process(text string) (p process) {
	if text == "" {
		return p
	}
	spent, text, _ := strings.Cut(text, ",")
	age, text, _ := strings.Cut(text, ",")
	base, text, _ := strings.Cut(text, ",")
	times := parsed(r, "test", spent+","+age+","+base, 3, 3, parseInt)
	p = process{spent: times[0], age: time.Duration(times[1]), base: Nats(times[2])}
	if p.spent <= 0 || p.spent > budget || p.age < 0 || p.base < leastNats*natsPerUnit || p.base > mostNats*natsPerUnit {
		r.fail("test", errRange)
	}
	p.parts = parsed(r, "test", text, 1, mostAlternatives, parseNats)
	return p
}

func (r *reader) proof(text string) proof {
	share, text, _ := strings.Cut(text, ",")
	of, text, _ := strings.Cut(text, ",")
	about := parsed(r, "proof", share+","+of, 2, 2, parseInt)
	if about[0] <= 0 || about[0] > allParts || about[1] < 0 || about[1] >= int64(gateKinds) {
		r.fail("proof", errRange)
		return proof{}
	}
	return proof{int32(about[0]), kind(about[1]), r.process(text)} //nolint:gosec // within allParts
}

func (n sums) text() string {
	if n == (sums{}) {
		return ""
	}
	return joined([]uint64{
		uint64(n.elapsed), n.canaryCalls, n.canaryErrors, n.canaryCancelled, n.stableCalls, n.stableErrors, n.stableCancelled, //nolint:gosec // never negative
	})
}

func (r *reader) sums(text string) (n sums) {
	if text == "" {
		return n
	}
	return sumsFrom(r, parsed(r, "calls", text, 7, 7, parseCount))
}

func sumsFrom(r *reader, list []uint64) sums {
	if list[0] > uint64(Infinity) {
		r.fail("calls", errRange)
		return sums{}
	}
	return sums{
		elapsed:     time.Duration(list[0]), //nolint:gosec // within Infinity
		canaryCalls: list[1], canaryErrors: list[2], canaryCancelled: list[3], stableCalls: list[4], stableErrors: list[5], stableCancelled: list[6],
	}
}

func (b block) text() string {
	if b.sums == (sums{}) {
		return ""
	}
	return joined([]int64{flags(b.fresh, b.cold, b.judged, b.outage)}) + "," + b.sums.text()
}

func (r *reader) block(text string) (b block) {
	if text == "" {
		return b
	}
	list := parsed(r, "block", text, 8, 8, parseCount)
	b.sums = sumsFrom(r, list[1:])
	setFlags(int64(list[0]&15), &b.fresh, &b.cold, &b.judged, &b.outage) //nolint:gosec // four bits
	return b
}

func (u unanswered) text() string {
	if u == (unanswered{}) {
		return ""
	}
	return joined([]uint64{uint64(u.elapsed), u.begun, u.before, u.ended, u.stableBegun, u.stableEnded, u.counted}) //nolint:gosec // never negative
}

func (r *reader) unanswered(text string) (u unanswered) {
	if text == "" {
		return u
	}
	list := parsed(r, "unanswered calls", text, 7, 7, parseCount)
	if list[0] > uint64(Infinity) {
		r.fail("unanswered calls", errRange)
		return u
	}
	return unanswered{time.Duration(list[0]), list[1], list[2], list[3], list[4], list[5], list[6]} //nolint:gosec // within Infinity
}

func (d spread) text() string {
	if len(d.pods) == 0 && d.expected == 0 {
		return ""
	}
	list := []uint64{uint64(d.squares), uint64(d.expected), uint64(d.variance)} //nolint:gosec // never negative
	for _, p := range d.pods {
		list = append(list, uint64(p.id), p.calls, p.errors, p.allCalls, p.allErrors)
	}
	return joined(list)
}

func (r *reader) spread(text string) (d spread) {
	if text == "" {
		return d
	}
	list := parsed(r, "spread", text, 3, 3+5*mostPods, parseCount)
	if len(list)%5 != 3 {
		r.fail("spread", errRange)
		return d
	}
	d.squares, d.expected, d.variance = r.milli(list[0]), r.milli(list[1]), r.milli(list[2])
	for list = list[3:]; len(list) > 0; list = list[5:] {
		d.pods = append(d.pods, podSum{uint32(list[0]), list[1], list[2], list[3], list[4]}) //nolint:gosec // a hash
	}
	return d
}

func (r *reader) milli(n uint64) milli {
	if n > uint64(mostMilli) {
		r.fail("sum", errRange)
		return 0
	}
	return milli(n) //nolint:gosec // within mostMilli
}

// took reads calls of both sides by bin, as many numbers for each as there are bins.
func (r *reader) took(what string, bins int) (canary, stable []uint64) {
	text := r.next()
	if text == "" {
		return nil, nil
	}
	list := parsed(r, what, text, 2*bins, 2*bins, parseCount)
	for _, n := range list {
		if bins == 0 || n > mostCount {
			r.fail(what, errRange)
			return nil, nil
		}
	}
	return list[:bins:bins], list[bins:]
}

func (r *reader) window() (w window) {
	bounds, calls := r.next(), r.next()
	if bounds == "" && calls == "" {
		return w
	}
	upTo := parsed(r, "window", bounds, 1, mostBins, parseInt)
	for i, bound := range upTo {
		if i > 0 && bound <= upTo[i-1] {
			r.fail("window", errRange)
		}
		w.upTo = append(w.upTo, time.Duration(bound))
	}
	if w.upTo[len(w.upTo)-1] != Infinity {
		r.fail("window", errRange)
	}
	w.count = parsed(r, "window", calls, len(upTo), len(upTo), parseCount)
	return w
}
