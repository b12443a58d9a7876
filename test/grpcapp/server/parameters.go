package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// maxBody bounds the body of a control request, in bytes.
const maxBody = 64 << 10

// presence says whether a parameter must be given.
type presence int

const (
	optional presence = iota
	required
)

// parameters reads typed values by name and keeps the first mistake, so that a
// command reads as a list of what it takes.
type parameters struct {
	values url.Values
	known  []string
	err    error
}

// readParameters collects the parameters of the query and of a form or JSON body.
func readParameters(request *http.Request) (*parameters, error) {
	p := &parameters{values: request.URL.Query()}
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(body) == 0 {
		return p, nil
	}
	var fromBody url.Values
	switch kind, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		// curl -d sends JSON under this type unless told otherwise.
		if body[0] != '{' {
			fromBody, err = url.ParseQuery(string(body))
			break
		}
		fromBody, err = fromJSON(body)
	case "application/json":
		fromBody, err = fromJSON(body)
	default:
		return nil, fmt.Errorf("the body is of type %q: send application/json or a form, or use the query", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("the body is not readable (%w): give a JSON object such as {\"share\": 0.3}, or use the query", err)
	}
	for name, values := range fromBody {
		p.values[name] = append(p.values[name], values...)
	}
	return p, nil
}

// fromJSON flattens an object of strings, numbers and booleans.
func fromJSON(body []byte) (url.Values, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, err
	}
	values := url.Values{}
	for name, raw := range object {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			text = string(raw) // a number is written as in the query
		}
		values.Set(name, text)
	}
	return values, nil
}

// complete returns the first mistake, or one for a parameter that the command does not have.
func (p *parameters) complete() error {
	if p.err != nil {
		return p.err
	}
	for name, values := range p.values {
		if !slices.Contains(p.known, name) {
			if len(p.known) == 0 {
				return fmt.Errorf("parameter %s is not known here: this command takes none", name)
			}
			return fmt.Errorf("parameter %s is not known here: this command takes %s", name, strings.Join(p.known, ", "))
		}
		if len(values) > 1 {
			return fmt.Errorf("parameter %s is given %d times: give it once", name, len(values))
		}
	}
	return nil
}

func (p *parameters) fail(format string, args ...any) {
	p.err = errors.Join(p.err, fmt.Errorf(format, args...))
}

// raw returns the value and whether there is one.
func (p *parameters) raw(name string) (string, bool) {
	p.known = append(p.known, name)
	value := p.values.Get(name)
	return value, value != ""
}

func (p *parameters) text(name, fallback string) string {
	if value, given := p.raw(name); given {
		return value
	}
	return fallback
}

func (p *parameters) number(name string, presence presence) float64 {
	value, given := p.raw(name)
	if !given {
		if presence == required {
			p.fail("parameter %s is missing: give a number, such as %s=0.3", name, name)
		}
		return 0
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		p.fail("parameter %s is %q: give a number, such as %s=0.3", name, value, name)
	}
	return number
}

func (p *parameters) whole(name string, fallback int) int {
	value, given := p.raw(name)
	if !given {
		return fallback
	}
	number, err := strconv.Atoi(value)
	if err != nil {
		p.fail("parameter %s is %q: give a whole number, such as %s=%d", name, value, name, fallback)
		return fallback
	}
	return number
}

func (p *parameters) duration(name string, presence presence) time.Duration {
	value, given := p.raw(name)
	if !given {
		if presence == required {
			p.fail("parameter %s is missing: give a duration, such as %s=100ms", name, name)
		}
		return 0
	}
	duration, err := time.ParseDuration(value)
	if err != nil {
		p.fail("parameter %s is %q: give a duration with its unit, such as %s=100ms", name, value, name)
	}
	return duration
}

// seed returns 0 when none is given.
func (p *parameters) seed() uint64 {
	value, given := p.raw("seed")
	if !given {
		return 0
	}
	seed, err := strconv.ParseUint(value, 10, 64)
	if err != nil || seed == 0 {
		p.fail("parameter seed is %q: give a whole number above 0, such as seed=42", value)
	}
	return seed
}

// code reads a status code as UNAVAILABLE, Unavailable or 14.
func (p *parameters) code(name string, fallback codes.Code) codes.Code {
	value, given := p.raw(name)
	if !given {
		return fallback
	}
	wanted := strings.ToUpper(strings.ReplaceAll(value, "_", ""))
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		if value == strconv.Itoa(int(code)) || wanted == strings.ToUpper(code.String()) {
			return code
		}
	}
	p.fail("parameter %s is %q: give a gRPC status code, such as %s=UNAVAILABLE", name, value, name)
	return fallback
}
