package judge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errRange = errors.New("a value is out of range")

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
