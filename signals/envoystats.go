package signals

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// envoyStats is what a proxy's statistics say of all clusters at a time. Who reads it changes nothing in it: it is shared.
type envoyStats struct {
	// taken is when the proxy was asked: nothing in it is older.
	taken time.Time
	// uptime is for how long the process has been running, in seconds, as of its last flush of statistics (each 5 s by default);
	// -1: the page does not say.
	uptime float64
	// times are those on the sample of the uptime.
	times sampleTimes
	// clusters are those that the page has statistics of, by name.
	clusters map[string]*clusterStats
	// names are the same without their statistics, for who remembers them.
	names map[string]bool
	// words are strings on it that come again on the next page, such as names of clusters.
	words map[string]string
}

// clusterStats is what a page says of one cluster.
type clusterStats struct {
	samples []statsSample
	calls   clusterCalls
	// endpoints are the attempts of its endpoints, by address.
	endpoints map[string]*endpointCalls
	// room is what they are kept in: most of them were on the last page.
	room []endpointCalls
	// latencies are the buckets of its histogram of how long calls took, in seconds.
	latencies []cumulative
	times     sampleTimes
	// wrong is why nothing of the cluster can be used. It spoils nobody else's.
	wrong error
}

// statsSample is a counter of a cluster, with what tells failures: that it counts them, or the gRPC status code that it counts.
type statsSample struct {
	key    seriesKey
	value  float64
	failed bool
	// timedOut: it counts attempts that Envoy gave up, which are among the failed ones as well.
	timedOut bool
	code     int
}

// noCode is the code of a counter that is not one of gRPC status codes.
const noCode = -1

// sampleTimes are the timestamps on samples. Envoy gives none; they are zero then.
type sampleTimes struct{ oldest, newest time.Time }

func (t *sampleTimes) note(when time.Time) {
	if t.oldest.IsZero() || when.Before(t.oldest) {
		t.oldest = when
	}
	if when.After(t.newest) {
		t.newest = when
	}
}

func (t *sampleTimes) add(other sampleTimes) {
	if !other.oldest.IsZero() {
		t.note(other.oldest)
		t.note(other.newest)
	}
}

// statsKind is what a counter of Envoy's says.
type statsKind int

const (
	statsOther statsKind = iota
	statsUptime
	statsSuccess
	statsError
	statsTimeout
	statsBegun
	statsUnderWay
	statsTotal
	statsActive
	statsRetry
	statsCode
	statsTime
)

// ofEndpoints: the endpoints of a cluster have one each.
func (k statsKind) ofEndpoints() bool {
	switch k {
	case statsSuccess, statsError, statsTimeout, statsBegun, statsUnderWay:
		return true
	}
	return false
}

// kindOfStats tells it by the name of the metric.
func kindOfStats(name string) (kind statsKind, code int) {
	switch {
	case strings.HasSuffix(name, suffixSuccess):
		return statsSuccess, noCode
	case strings.HasSuffix(name, suffixError):
		return statsError, noCode
	case strings.HasSuffix(name, suffixTimeout):
		return statsTimeout, noCode
	case strings.HasSuffix(name, suffixBegun):
		return statsBegun, noCode
	case strings.HasSuffix(name, suffixUnderWay):
		return statsUnderWay, noCode
	case strings.HasSuffix(name, suffixRetry):
		return statsRetry, noCode
	case strings.HasSuffix(name, suffixTotal):
		return statsTotal, noCode
	case strings.HasSuffix(name, suffixActive):
		return statsActive, noCode
	case strings.HasSuffix(name, suffixUptime):
		return statsUptime, noCode
	case strings.HasSuffix(name, suffixTime+"_bucket"):
		return statsTime, noCode
	}
	if code, ok := grpcCode(name); ok {
		return statsCode, code
	}
	return statsOther, noCode
}

// mostWords is how many strings are remembered from page to page. Some of them come no more.
const mostWords = 1_000_000

// longestLine bounds a line of statistics: the names of methods are chosen by clients.
const longestLine = 64 << 10

// statsReader reads one page of Envoy's statistics in Prometheus's text format.
type statsReader struct {
	out *envoyStats
	// name, kind and code are those of the last line: lines of one metric follow each other.
	name string
	kind statsKind
	code int
	// last is the last page, or one with nothing on it: most of what is on this one was there already.
	last *envoyStats
	// known are the counters of the page so far.
	known  map[seriesKey]bool
	labels []promLabel
}

// readStats reads a page that follows another one; nil: it is the first. The error says what is wrong with it as a whole.
func readStats(page io.Reader, taken time.Time, last *envoyStats) (*envoyStats, error) {
	r := &statsReader{last: last}
	if last == nil || len(last.words) > mostWords {
		r.last = &envoyStats{words: map[string]string{}}
	}
	r.out = &envoyStats{taken: taken, uptime: -1, clusters: make(map[string]*clusterStats, len(r.last.clusters)), words: r.last.words}
	r.known = map[seriesKey]bool{}
	lines := bufio.NewReaderSize(page, longestLine)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			r.out.name()
			return r.out, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it ends within a line")
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("a line has more than %d bytes", longestLine)
		case err != nil:
			return nil, err
		}
		if err := r.take(line[:len(line)-1]); err != nil {
			return nil, err
		}
	}
}

func (r *statsReader) take(text []byte) error {
	line, err := cutLine(text)
	if err != nil || line.name == nil {
		return err
	}
	if string(line.name) != r.name {
		r.name = r.word(line.name)
		r.kind, r.code = kindOfStats(r.name)
	}
	if r.kind == statsOther {
		return nil
	}
	labels, rest, err := line.labels(r.labels[:0])
	if err != nil {
		return err
	}
	r.labels = labels
	value, timestamp, stamped, err := sampleOf(rest)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	var times sampleTimes
	if stamped {
		times.note(time.UnixMilli(timestamp))
	}
	if r.kind == statsUptime {
		r.out.uptime = value
		r.out.times.add(times)
		return checkCounter(r.name, value)
	}
	r.takeOfCluster(value, times)
	return nil
}

// takeOfCluster takes a sample of a cluster. The labels are those of the line. What is wrong with it is the cluster's own trouble.
func (r *statsReader) takeOfCluster(value float64, times sampleTimes) {
	key, le := r.key()
	if key.cluster == "" {
		return
	}
	of := r.out.clusters[key.cluster]
	if of == nil {
		of = &clusterStats{}
		if before := r.last.clusters[key.cluster]; before != nil {
			of.samples = make([]statsSample, 0, len(before.samples))
			of.latencies = make([]cumulative, 0, len(before.latencies))
			of.endpoints, of.room = make(map[string]*endpointCalls, len(before.endpoints)), make([]endpointCalls, len(before.endpoints))
		}
		r.out.clusters[key.cluster] = of
	}
	if of.wrong != nil {
		return
	}
	switch {
	case r.kind.ofEndpoints() != (key.address != ""):
		return
	case r.kind == statsUnderWay:
		of.endpoint(key.address).setActive(value)
		return
	case r.kind == statsTime:
		of.addBucket(le, value)
		return
	case r.kind == statsActive:
		of.calls.setActive(r.name, value)
		return
	}
	if of.wrong = checkCounter(r.name, value); of.wrong != nil {
		return
	}
	switch r.kind {
	case statsTotal:
		of.calls.started, of.calls.counted = value, true
		return
	case statsRetry:
		of.calls.retries = value
		return
	case statsBegun:
		of.endpoint(key.address).setBegun(value)
		return
	}
	switch {
	case r.known[key]:
		of.wrong = fmt.Errorf("two values of %s for %s", key.metric, key.address)
		return
	case len(of.samples) >= mostCounters:
		of.wrong, of.samples = fmt.Errorf("more than %d counters", mostCounters), nil
		return
	}
	r.known[key] = true
	of.times.add(times)
	of.samples = append(of.samples, statsSample{key: key, value: value, failed: r.kind == statsError, timedOut: r.kind == statsTimeout, code: r.code})
	switch r.kind {
	case statsSuccess:
		of.endpoint(key.address).succeeded = value
	case statsError:
		of.endpoint(key.address).failed = value
	}
}

// endpoint is that at an address, which may be new on the page.
func (c *clusterStats) endpoint(address string) *endpointCalls {
	of := c.endpoints[address]
	if of == nil {
		if len(c.room) == 0 {
			c.room = make([]endpointCalls, 1)
		}
		of, c.room = &c.room[0], c.room[1:]
		if c.endpoints == nil {
			c.endpoints = map[string]*endpointCalls{}
		}
		c.endpoints[address] = of
	}
	return of
}

func (c *clusterStats) addBucket(le string, value float64) {
	bound, err := upperBound(le)
	if err != nil {
		c.wrong = err
		return
	}
	c.latencies = append(c.latencies, cumulative{bound / 1000, value})
}

// key puts the labels into the key of a series; le is that of a bucket.
func (r *statsReader) key() (key seriesKey, le string) {
	key.metric = r.name
	var others []string
	for _, label := range r.labels {
		switch string(label.name) {
		case labelCluster:
			key.cluster = r.labelValue(label)
		case labelEndpoint:
			key.address = r.labelValue(label)
		case "le":
			le = r.labelValue(label)
		default:
			others = append(others, strconv.Quote(string(label.name))+"="+strconv.Quote(label.plain()))
		}
	}
	slices.Sort(others)
	key.labels = strings.Join(others, ",")
	return key, le
}

func (r *statsReader) labelValue(label promLabel) string {
	if known, ok := r.out.words[string(label.value)]; ok {
		return known
	}
	value := label.plain()
	r.out.words[string(label.value)] = value
	return value
}

func (r *statsReader) word(text []byte) string {
	if known, ok := r.out.words[string(text)]; ok {
		return known
	}
	word := string(text)
	r.out.words[word] = word
	return word
}

// name notes the names of the clusters.
func (s *envoyStats) name() {
	s.names = make(map[string]bool, len(s.clusters))
	for name := range s.clusters {
		s.names[name] = true
	}
}

// empty says whether the page has no statistics at all.
func (s *envoyStats) empty() bool { return s.uptime < 0 && len(s.clusters) == 0 }

// of is the part of the page about some clusters, with the latencies of those among them that are one backend's alone. With codes
// those tell what failed, wherever there are codes.
func (s *envoyStats) of(clusters map[string]bool, owned map[string]string, codes Codes) (*page, error) {
	out := &page{
		uptime: s.uptime, calls: map[string]clusterCalls{}, latencies: map[string]Histogram{}, times: s.times, names: s.names,
	}
	endpoints := 0
	for name := range clusters {
		if of := s.clusters[name]; of != nil {
			endpoints += len(of.endpoints)
		}
	}
	out.endpoints = make(map[endpointKey]*endpointCalls, endpoints)
	for name := range clusters {
		of := s.clusters[name]
		if of == nil {
			continue
		}
		if of.wrong != nil {
			return nil, fmt.Errorf("%s: %w", name, of.wrong)
		}
		out.take(of, codes)
		out.calls[name] = of.calls
		for address, calls := range of.endpoints {
			out.endpoints[endpointKey{name, address}] = calls
		}
		if owned[name] == "" || len(of.latencies) == 0 {
			continue
		}
		latencies, err := classic(slices.Clone(of.latencies))
		if err != nil {
			return nil, fmt.Errorf("latencies of %s: %w", name, err)
		}
		out.latencies[name] = latencies
	}
	return out, nil
}

func (p *page) take(of *clusterStats, codes Codes) {
	for i := range of.samples {
		s := &of.samples[i]
		fails := s.failed
		if s.code != noCode {
			fails = codes.failed(s.code)
		}
		p.series = append(p.series, series{statsSample: s, fails: fails})
	}
	p.times.add(of.times)
}

// checkCounter refuses what no counter can be. Above 2^53 a float64 no longer counts by one.
func checkCounter(name string, value float64) error {
	if math.IsNaN(value) || value < 0 || value > 1<<53 {
		return fmt.Errorf("%s is %v, which no counter can be", name, value)
	}
	return nil
}
