package signals

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// promLine is a line of Prometheus's text format with a sample. What it holds is valid until the next line is read.
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
//
// A page of a shared Gateway has tens of thousands of lines and is read every second. A general parser makes objects of all of
// them; here only those are looked into whose name is of interest.
type promLine struct {
	name []byte
	// rest is what follows the name: labels, value and timestamp.
	rest []byte
}

// promLabel is a label as it is written; value may have escapes in it.
type promLabel struct{ name, value []byte }

var errLine = errors.New("a line that cannot be read")

// cutLine takes the name off a line; a comment and an empty line have none.
func cutLine(line []byte) (promLine, error) {
	line = bytes.TrimLeft(line, " \t")
	if len(line) == 0 || line[0] == '#' {
		return promLine{}, nil
	}
	end := 0
	for end < len(line) && isNameByte(line[end], end > 0) {
		end++
	}
	if end == 0 || end == len(line) {
		return promLine{}, errLine
	}
	switch line[end] {
	case '{', ' ', '\t':
		return promLine{name: line[:end], rest: line[end:]}, nil
	}
	return promLine{}, errLine
}

func isNameByte(b byte, digits bool) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b == ':' || digits && b >= '0' && b <= '9'
}

// labels appends the labels to a list that is used again, and returns what follows them.
func (l promLine) labels(into []promLabel) (labels []promLabel, rest []byte, err error) {
	rest = bytes.TrimLeft(l.rest, " \t")
	if len(rest) == 0 || rest[0] != '{' {
		return into, rest, nil
	}
	rest = bytes.TrimLeft(rest[1:], " \t")
	for len(rest) > 0 && rest[0] != '}' {
		var label promLabel
		if label, rest, err = cutLabel(rest); err != nil {
			return nil, nil, err
		}
		into = append(into, label)
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) > 0 && rest[0] == ',' {
			rest = bytes.TrimLeft(rest[1:], " \t")
		} else if len(rest) == 0 || rest[0] != '}' {
			return nil, nil, errLine
		}
	}
	if len(rest) == 0 {
		return nil, nil, errLine
	}
	return into, rest[1:], nil
}

// cutLabel takes name="value" off a text.
func cutLabel(text []byte) (label promLabel, rest []byte, err error) {
	end := 0
	for end < len(text) && isNameByte(text[end], end > 0) {
		end++
	}
	label.name = text[:end]
	text = bytes.TrimLeft(text[end:], " \t")
	if end == 0 || len(text) < 2 || text[0] != '=' {
		return label, nil, errLine
	}
	text = bytes.TrimLeft(text[1:], " \t")
	if len(text) == 0 || text[0] != '"' {
		return label, nil, errLine
	}
	text = text[1:]
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			label.value = text[:i]
			return label, text[i+1:], nil
		}
	}
	return label, nil, errLine
}

var unescapeLabel = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

// plain is the value without its escapes; most have none.
func (l promLabel) plain() string {
	if bytes.IndexByte(l.value, '\\') < 0 {
		return string(l.value)
	}
	return unescapeLabel.Replace(string(l.value))
}

// sampleOf reads the value, and the timestamp in milliseconds if there is one.
func sampleOf(rest []byte) (value float64, timestamp int64, stamped bool, err error) {
	fields := bytes.Fields(rest)
	if len(fields) == 0 || len(fields) > 2 {
		return 0, 0, false, errLine
	}
	if value, err = strconv.ParseFloat(string(fields[0]), 64); err != nil {
		return 0, 0, false, fmt.Errorf("%q is no number", presentable(string(fields[0])))
	}
	if len(fields) == 1 {
		return value, 0, false, nil
	}
	if timestamp, err = strconv.ParseInt(string(fields[1]), 10, 64); err != nil {
		return 0, 0, false, fmt.Errorf("%q is no timestamp", presentable(string(fields[1])))
	}
	return value, timestamp, true, nil
}
