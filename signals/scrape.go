package signals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
)

// StatsPort is the port at which Envoy Gateway's proxies show their statistics.
const StatsPort = 19001

// errTooLarge: an answer is longer than it may be.
var errTooLarge = errors.New("the answer is too large")

// statsURL asks a proxy for what is counted of the clusters and for nothing else.
func statsURL(address netip.AddrPort) string {
	query := url.Values{"filter": {statsFilter}}
	u := url.URL{
		Scheme: "http", Host: address.String(), Path: "/stats/prometheus",
		RawQuery: "usedonly&" + query.Encode(),
	}
	return u.String()
}

// statsFilter is the regular expression (RE2) for the names of Envoy's statistics that are of interest: of all clusters of
// GRPCRoutes outcomes, timeouts, attempts and those under way by endpoint, how many calls there were and how many are under way, and in
// clusters that are one backend's alone outcomes by gRPC status code, retries and latencies as well. It is the same for all who ask, so that one answer does for all of them.
const statsFilter = `^(cluster\.grpcroute/[^/]+/[^/]+/rule/[0-9]+(/backend/[0-9]+)?\.(endpoint\..+\.rq_(error|success|timeout|total|active)|upstream_rq_(total|active))|` +
	`cluster\.grpcroute/[^/]+/[^/]+/rule/[0-9]+/backend/[0-9]+\.(upstream_rq_(time|retry)|grpc\.(.+\.)?[0-9]+)|server\.uptime)$`

// get reads an answer that must be complete and not too large, and hands it to read. An answer that ends where the
// connection ends is refused, because one that was cut off would look the same.
func get(ctx context.Context, client *http.Client, address string, limit int64, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/plain")
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %s", response.Status)
	}
	if response.ProtoMajor < 2 && response.ContentLength < 0 && !response.Uncompressed && !slices.Contains(response.TransferEncoding, "chunked") {
		return errors.New("the answer does not say how long it is")
	}
	return read(limited(response.Body, limit))
}

// withoutURL leaves away what http.Client puts before its errors: the URL is long, and said elsewhere.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// noRedirects is the client without following redirects: what is asked is the named address, and
// nothing that it names.
func noRedirects(client *http.Client) *http.Client {
	out := *client
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Jar = nil
	return &out
}

// limited reads at most limit bytes and fails, rather than ends, when there are more.
func limited(body io.Reader, limit int64) io.Reader { return &limitedReader{body, limit} }

type limitedReader struct {
	body io.Reader
	left int64
}

func (l *limitedReader) Read(into []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	// One byte more than allowed shows that there is more.
	if int64(len(into)) > l.left+1 {
		into = into[:l.left+1]
	}
	n, err := l.body.Read(into)
	l.left -= int64(n)
	if l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
