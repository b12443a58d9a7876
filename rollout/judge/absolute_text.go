package judge

import (
	"fmt"
	"strings"
)

// absoluteForm marks the layout of the text, so that another version's state is refused instead of misread.
const absoluteForm = "a1"

// String writes the state as "a1;bound;above;under", at most 300 bytes; the start is the empty string. ParseAbsoluteState reads it
// back exactly.
func (s AbsoluteState) String() string {
	if s == (AbsoluteState{}) {
		return ""
	}
	return strings.Join([]string{absoluteForm, joined([]int64{s.Bound}), joined(s.Above[:]), joined(s.Under[:])}, ";")
}

// ParseAbsoluteState reads what String wrote. With an error it returns the start.
func ParseAbsoluteState(text string) (AbsoluteState, error) {
	if text == "" {
		return AbsoluteState{}, nil
	}
	fields := strings.Split(text, ";")
	if len(fields) != 4 || fields[0] != absoluteForm {
		return AbsoluteState{}, fmt.Errorf("reading the state of an absolute test: not of the form %s;bound;above;under", absoluteForm)
	}
	bound, err := parseInt(fields[1])
	if err != nil {
		return AbsoluteState{}, fmt.Errorf("reading the bound of an absolute test: %w", err)
	}
	above, err := split(fields[2], absoluteGrid, absoluteGrid, parseNats)
	if err != nil {
		return AbsoluteState{}, fmt.Errorf("reading the evidence above the bound: %w", err)
	}
	under, err := split(fields[3], absoluteGrid, absoluteGrid, parseNats)
	if err != nil {
		return AbsoluteState{}, fmt.Errorf("reading the evidence below the bound: %w", err)
	}
	return AbsoluteState{Bound: bound, Above: [absoluteGrid]Nats(above), Under: [absoluteGrid]Nats(under)}, nil
}

// MarshalText makes the state a string in JSON.
func (s AbsoluteState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *AbsoluteState) UnmarshalText(text []byte) error {
	parsed, err := ParseAbsoluteState(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}
