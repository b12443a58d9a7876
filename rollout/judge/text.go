package judge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errRange = errors.New("a value is out of range")

// writer puts fields together, with semicolons between them.
type writer struct{ fields []string }

func (w *writer) add(field string) { w.fields = append(w.fields, field) }

// list writes how many there are, and each.
func (w *writer) list(n int, field func(int) string) {
	w.add(strconv.Itoa(n))
	for i := range n {
		w.add(field(i))
	}
}

func (w *writer) text() string { return strings.Join(w.fields, ";") }

// reader takes fields one after the other, and remembers the first thing that is wrong.
type reader struct {
	fields []string
	err    error
}

func (r *reader) next() string {
	if len(r.fields) == 0 {
		r.fail("fields", errors.New("some are missing"))
		return ""
	}
	field := r.fields[0]
	r.fields = r.fields[1:]
	return field
}

func (r *reader) fail(what string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (r *reader) list(most int, field func(string)) {
	n := parsed(r, "list", r.next(), 1, 1, parseCount)[0]
	if n > uint64(min(most, len(r.fields))) { //nolint:gosec // neither is negative
		r.fail("list", errRange)
		return
	}
	for range n {
		field(r.next())
	}
}

// numbers reads the next field.
func numbers[N any](r *reader, what string, least, most int, parse func(string) (N, error)) []N {
	return parsed(r, what, r.next(), least, most, parse)
}

// parsed reads a list of numbers. If it is wrong the reader knows, and there are least zeros.
func parsed[N any](r *reader, what, text string, least, most int, parse func(string) (N, error)) []N {
	list, err := split(text, least, most, parse)
	if err != nil {
		r.fail(what, err)
		return make([]N, max(1, least))
	}
	return list
}

// flags are bits, from the lowest on.
func flags(list ...bool) int64 {
	var bits int64
	for i, on := range list {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

func setFlags(bits int64, list ...*bool) {
	for i, on := range list {
		*on = bits&(1<<i) != 0
	}
}

func joined[N ~int64 | ~uint64](list []N) string {
	var text []byte
	for i, n := range list {
		if i > 0 {
			text = append(text, ',')
		}
		if n < 0 {
			text = strconv.AppendInt(text, int64(n), 10)
		} else {
			text = strconv.AppendUint(text, uint64(n), 10)
		}
	}
	return string(text)
}

func split[N any](text string, least, most int, parse func(string) (N, error)) ([]N, error) {
	words := strings.Split(text, ",")
	if len(words) < least || len(words) > most {
		return nil, fmt.Errorf("it has %d values", len(words))
	}
	list := make([]N, len(words))
	for i, word := range words {
		var err error
		if list[i], err = parse(word); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parseInt(word string) (int64, error) { return strconv.ParseInt(word, 10, 64) }

func parseCount(word string) (uint64, error) { return strconv.ParseUint(word, 10, 64) }

func parseNats(word string) (Nats, error) {
	n, err := parseInt(word)
	if err == nil && (n < leastNats*natsPerUnit || n > mostNats*natsPerUnit) {
		err = errRange
	}
	return Nats(n), err
}
