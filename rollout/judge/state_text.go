package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// stateForm marks the layout of the text, so that another version's state is refused instead of misread.
const stateForm = "c2"

// String writes the state in decimal numbers: some 400 bytes for errors alone, at most MostText. The start is the empty string.
// ParseState reads it back exactly.
func (s State) String() string {
	fields := []string{
		stateForm,
		joined([]uint64{s.canary.Calls, s.canary.Errors, s.stable.Calls, s.stable.Errors}),
		joined([]Nats{s.peak}),
		joined(s.window.upTo),
		joined(s.window.count),
		joined(slices.Concat(s.canaryTook, s.stableTook)),
		s.errorCarry.text(),
		s.latencyCarry.text(),
	}
	for _, p := range processesOf(&s) {
		fields = append(fields, p.text())
	}
	if text := strings.Join(fields, ";"); text != startText {
		return text
	}
	return ""
}

// MostText is an upper bound on the length of a state's text, in bytes.
const MostText = 8192

const startText = stateForm + ";0,0,0,0;0;;;;;;;;;;;"

// ParseState reads what String wrote. With an error it returns the start.
func ParseState(text string) (State, error) {
	if text == "" {
		return State{}, nil
	}
	s, err := parseState(text)
	if err != nil {
		return State{}, fmt.Errorf("reading the state of a judge: %w", err)
	}
	return s, nil
}

func parseState(text string) (s State, err error) {
	fields := strings.Split(text, ";")
	processes := processesOf(&s)
	if len(fields) != 8+len(processes) || fields[0] != stateForm {
		return s, fmt.Errorf("it is not of the form %s", stateForm)
	}
	totals, err := split(fields[1], 4, 4, parseCount)
	if err != nil {
		return s, fmt.Errorf("totals: %w", err)
	}
	s.canary = Totals{Calls: totals[0], Errors: totals[1]}
	s.stable = Totals{Calls: totals[2], Errors: totals[3]}
	peak, err := split(fields[2], 1, 1, parseNats)
	if err != nil {
		return s, fmt.Errorf("peak: %w", err)
	}
	s.peak = peak[0]
	if s.window, err = parseWindow(fields[3], fields[4]); err != nil {
		return s, fmt.Errorf("window: %w", err)
	}
	if s.canaryTook, s.stableTook, err = parseTook(fields[5], len(s.window.upTo)); err != nil {
		return s, fmt.Errorf("judged latencies: %w", err)
	}
	if s.errorCarry, err = parseCarry(fields[6], 1); err != nil {
		return s, fmt.Errorf("waiting calls: %w", err)
	}
	if s.latencyCarry, err = parseCarry(fields[7], len(s.window.upTo)); err != nil {
		return s, fmt.Errorf("waiting latencies: %w", err)
	}
	for i, p := range processesOf(&s) {
		if *p, err = parseProcess(fields[8+i]); err != nil {
			return s, fmt.Errorf("test %d: %w", i+1, err)
		}
	}
	return s, nil
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

// processesOf are all tests in the order of the text.
func processesOf(s *State) []*process {
	return []*process{&s.errors, &s.latency, &s.slow, &s.maxErrorRate, &s.errorGate, &s.latencyGate}
}

// mostAlternatives is the largest number of parts of a process.
const mostAlternatives = 20

func (p process) text() string {
	if !p.begun() {
		return ""
	}
	return joined([]int64{p.spent, int64(p.age)}) + "," + joined(p.parts)
}

func parseProcess(text string) (process, error) {
	if text == "" {
		return process{}, nil
	}
	spent, text, _ := strings.Cut(text, ",")
	age, text, _ := strings.Cut(text, ",")
	times, err := split(spent+","+age, 2, 2, parseInt)
	if err != nil {
		return process{}, err
	}
	p := process{spent: times[0], age: time.Duration(times[1])}
	if p.spent <= 0 || p.spent > budget || p.age < 0 {
		return process{}, errRange
	}
	p.parts, err = split(text, 1, mostAlternatives, parseNats)
	return p, err
}

func (c carry) text() string {
	if c.canary == nil {
		return ""
	}
	return joined([]time.Duration{c.elapsed}) + "," + joined(slices.Concat([]uint64{c.canaryCalls, c.stableCalls}, c.canary, c.stable))
}

func parseCarry(text string, bins int) (carry, error) {
	if text == "" {
		return carry{}, nil
	}
	elapsed, text, _ := strings.Cut(text, ",")
	waited, err := parseInt(elapsed)
	if err != nil {
		return carry{}, err
	}
	list, err := split(text, 2+2*bins, 2+2*bins, parseCount)
	if err != nil {
		return carry{}, err
	}
	if bins == 0 || waited < 0 {
		return carry{}, errRange
	}
	return carry{
		elapsed: time.Duration(waited),
		counts:  counts{canaryCalls: list[0], stableCalls: list[1], canary: list[2 : 2+bins], stable: list[2+bins:]},
	}, nil
}

// parseTook reads the judged calls of both arms, as many numbers for each as there are bins.
func parseTook(text string, bins int) (canary, stable []uint64, err error) {
	if text == "" {
		return nil, nil, nil
	}
	list, err := split(text, 2*bins, 2*bins, parseCount)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range list {
		if bins == 0 || n > mostTook {
			return nil, nil, errRange
		}
	}
	return list[:bins:bins], list[bins:], nil
}

func parseWindow(bounds, calls string) (window, error) {
	if bounds == "" && calls == "" {
		return window{}, nil
	}
	upTo, err := split(bounds, 1, mostBins, parseInt)
	if err != nil {
		return window{}, err
	}
	w := window{}
	for i, bound := range upTo {
		if i > 0 && bound <= upTo[i-1] {
			return window{}, errRange
		}
		w.upTo = append(w.upTo, time.Duration(bound))
	}
	if w.upTo[len(w.upTo)-1] != Infinity {
		return window{}, errRange
	}
	w.count, err = split(calls, len(upTo), len(upTo), parseCount)
	return w, err
}
