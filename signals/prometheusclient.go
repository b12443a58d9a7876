package signals

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Credentials are what a Prometheus server is asked with.
type Credentials struct {
	// Token is a bearer token; empty: none.
	Token []byte
	// CA are the certificates (PEM) that the server's is verified with; empty: the system's.
	CA []byte
}

const schemeHTTPS = "https"

// errTokenInTheClear is why nothing is asked. Leaving the token away would ask as somebody else than was meant.
var errTokenInTheClear = errors.New("a bearer token is sent to https:// addresses only, so that nobody on the way reads it: " +
	"set an https:// address, or remove the token")

// prometheusClient asks one Prometheus server. It keeps its connections until the CA changes.
type prometheusClient struct {
	address  *url.URL
	base     *http.Client
	maxBytes int64

	ca        []byte
	transport http.RoundTripper
}

func newPrometheusClient(address string, base *http.Client, maxBytes int64) (*prometheusClient, error) {
	parsed, err := url.Parse(address)
	switch {
	case err != nil:
		// The error would quote the address, and with it a password in it.
		return nil, errors.New("the address is not a URL")
	case parsed.Scheme != "http" && parsed.Scheme != schemeHTTPS, parsed.Host == "":
		return nil, errors.New("the address is not a URL that starts with http:// or https://")
	case parsed.User != nil:
		return nil, errors.New("the address has a user or password in it: give a bearer token by a Secret")
	}
	return &prometheusClient{address: parsed, base: base, maxBytes: maxBytes}, nil
}

// session is the API with these credentials.
func (c *prometheusClient) session(credentials Credentials) (*session, error) {
	if c.transport == nil || !bytes.Equal(c.ca, credentials.CA) {
		transport, err := WithCA(c.base.Transport, credentials.CA)
		if err != nil {
			return nil, err
		}
		if old, ok := c.transport.(*http.Transport); ok && len(c.ca) > 0 {
			old.CloseIdleConnections()
		}
		c.transport, c.ca = transport, bytes.Clone(credentials.CA)
	}
	token := string(bytes.TrimSpace(credentials.Token))
	if token != "" && c.address.Scheme != schemeHTTPS {
		return nil, errTokenInTheClear
	}
	client := noRedirects(c.base)
	client.Transport = &guard{next: c.transport, token: token, host: c.address.Host, maxBytes: c.maxBytes}
	made, err := api.NewClient(api.Config{Address: c.address.String(), Client: client})
	if err != nil {
		return nil, errors.New(presentable(err.Error(), token))
	}
	return &session{api: promv1.NewAPI(made), token: token}, nil
}

// WithCA is a transport that verifies servers by certificates (PEM); without any it is the transport itself, and nil is the default one.
func WithCA(base http.RoundTripper, ca []byte) (http.RoundTripper, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	if len(ca) == 0 {
		return base, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA holds no certificate in PEM")
	}
	transport, ok := base.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("a transport of type %T cannot be given a CA", base)
	}
	transport = transport.Clone()
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	transport.TLSClientConfig.RootCAs = pool
	return transport, nil
}

// guard puts the token on requests to the server, and on those alone, and bounds the answers.
type guard struct {
	next     http.RoundTripper
	token    string
	host     string
	maxBytes int64
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if g.token != "" && request.URL.Host == g.host {
		if request.URL.Scheme != schemeHTTPS {
			return nil, errTokenInTheClear
		}
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+g.token)
	}
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = readCloser{limited(response.Body, g.maxBytes), response.Body}
	return response, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// session asks with one set of credentials.
type session struct {
	api   promv1.API
	token string
}

// answerOf is what a query returned: some counters, by their labels, as of a time.
type answerOf struct {
	samples  []promSample
	when     time.Time
	warnings []string
}

// promSample is a series at a time: a number, or the calls of a native histogram.
type promSample struct {
	labels    model.Metric
	value     float64
	histogram Histogram
}

// query asks for the value of an expression at a time; the zero time is the server's now.
func (s *session) query(ctx context.Context, expression string, at time.Time) (answerOf, *trouble) {
	value, warnings, err := s.api.Query(ctx, expression, at)
	var out answerOf
	for _, warning := range warnings {
		out.warnings = append(out.warnings, quoted(warning, s.token))
	}
	if err != nil {
		return out, s.troubleOf(ctx, err)
	}
	switch value := value.(type) {
	case *model.Scalar:
		out.samples = []promSample{{value: float64(value.Value)}}
		out.when = value.Timestamp.Time()
	case model.Vector:
		if len(value) == 0 {
			return out, &trouble{UnknownEmpty, "the result is empty: a query for something that may not have happened yet ends in `or vector(0)`"}
		}
		for _, sample := range value {
			one := promSample{labels: sample.Metric, value: float64(sample.Value)}
			if sample.Histogram != nil {
				if one.histogram, err = native(sample.Histogram); err != nil {
					return out, &trouble{UnknownGarbage, err.Error()}
				}
			}
			out.samples = append(out.samples, one)
			if when := sample.Timestamp.Time(); out.when.IsZero() || when.Before(out.when) {
				out.when = when
			}
		}
	default:
		return out, &trouble{UnknownGarbage, fmt.Sprintf("the result is a %s and not a number", value.Type())}
	}
	return out, nil
}

func (s *session) troubleOf(ctx context.Context, err error) *trouble {
	if errors.Is(err, errTooLarge) {
		return &trouble{UnknownGarbage, "the answer is too large"}
	}
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return &trouble{UnknownUnreachable, "no answer in time"}
	}
	if _, ok := errors.AsType[*url.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return &trouble{UnknownUnreachable, presentable(withoutURL(err).Error(), s.token)}
	}
	answered, ok := errors.AsType[*promv1.Error](err)
	if !ok {
		return &trouble{UnknownGarbage, quoted("the answer is not Prometheus's: "+err.Error(), s.token)}
	}
	switch answered.Type {
	case promv1.ErrBadData, promv1.ErrExec:
		return &trouble{UnknownGarbage, quoted("the server refuses the query: "+answered.Msg, s.token)}
	case promv1.ErrBadResponse:
		return &trouble{UnknownGarbage, quoted("the answer is not Prometheus's: "+answered.Msg, s.token)}
	}
	return &trouble{UnknownUnreachable, quoted(err.Error(), s.token)}
}
