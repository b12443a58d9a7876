package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"k8s.io/utils/clock"

	"github.com/headgate/headgate/internal/dial"
)

const (
	// mostRead is how much of an answer is read, in bytes.
	mostRead = 4096
	// mostWords is how much of it is shown, in bytes.
	mostWords = 200
	// mostRedirects is how often an answer may point to another path of the same host.
	mostRedirects = 3
)

// Target is whom to ask, and how.
type Target struct {
	URL string
	// Timeout bounds the whole attempt.
	Timeout time.Duration
	// Key signs the request; nil: it is not signed.
	Key []byte
	// CABundle holds the certificates (PEM) that the server's is verified with; empty: those of the system.
	CABundle []byte
}

// Answer is what came of one attempt.
type Answer struct {
	// Answered: it said something, be it no.
	Answered bool
	Agrees   bool
	// Words are the answer's own, bounded, or say why there is none. They are for people.
	Words string
}

// Client asks webhooks.
type Client struct {
	// Clock gives the time of the signature. Required.
	Clock clock.PassiveClock
	// Dial opens connections. Nil: with dial.Public.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Ask asks once. Each attempt has a connection of its own: they are seldom, and what they trust differs.
func (c Client) Ask(ctx context.Context, target Target, question Question) Answer {
	ctx, cancel := context.WithTimeout(ctx, target.Timeout)
	defer cancel()
	response, err := c.post(ctx, target, question)
	if err != nil {
		return Answer{Words: explain(err, target.Timeout)}
	}
	defer response.Body.Close() //nolint:errcheck // nothing more is read
	words := readWords(response.Body)
	if response.StatusCode == http.StatusOK {
		return Answer{Answered: true, Agrees: true, Words: words}
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	if response.StatusCode/100 == 3 {
		words = "redirects are followed by 307 and 308 on the same host only"
	}
	if words != "" {
		status += ": " + words
	}
	return Answer{Answered: true, Words: status}
}

func (c Client) post(ctx context.Context, target Target, question Question) (*http.Response, error) {
	transport, err := c.transport(target)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("write the question as JSON: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	now := c.Clock.Now()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "headgate")
	request.Header.Set(HeaderID, question.ID)
	request.Header.Set(HeaderTimestamp, timestamp(now))
	if target.Key != nil {
		request.Header.Set(HeaderSignature, Sign(target.Key, question.ID, now, body))
	}
	client := http.Client{Transport: transport, CheckRedirect: sameQuestionSameHost}
	return client.Do(request)
}

func (c Client) transport(target Target) (*http.Transport, error) {
	connect := c.Dial
	if connect == nil {
		connect = dial.Public
	}
	// No proxy: the environment's is not the one that the author of a webhook means.
	out := &http.Transport{DialContext: connect, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if len(target.CABundle) > 0 {
		out.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !out.TLSClientConfig.RootCAs.AppendCertsFromPEM(target.CABundle) {
			return nil, errors.New("caBundle holds no certificate in PEM")
		}
	}
	return out, nil
}

// sameQuestionSameHost follows a redirect only where the same request is made again, to the same host. A POST that became a GET would
// ask nothing, and any page would agree.
func sameQuestionSameHost(next *http.Request, before []*http.Request) error {
	first := before[0]
	if next.Method != http.MethodPost || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || len(before) > mostRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// explain says why there is no answer. The address, which may hold a password, is left out.
func explain(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + timeout.String()
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return printable(err.Error())
}

// readWords is the beginning of an answer: its message, if it is JSON with one, or else its text.
func readWords(body io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(body, mostRead))
	if err != nil && len(text) == 0 {
		return ""
	}
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &answer) == nil && answer.Message != "" {
		return printable(answer.Message)
	}
	return printable(string(text))
}

// printable is a text in one line, bounded.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= mostWords {
		return text
	}
	return strings.ToValidUTF8(text[:mostWords-len("…")], "") + "…"
}

// WeightPercent is a weight in parts of 1,000,000 as a percentage, exactly.
func WeightPercent(parts int32) json.Number {
	return json.Number(strconv.FormatFloat(float64(parts)/10_000, 'f', -1, 64))
}
