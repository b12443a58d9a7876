package signals

import (
	"strconv"
	"strings"
)

// page is what a proxy's statistics say of the clusters of one ExposedService.
type page struct {
	series []series
	// uptime is for how long the process has been running, in seconds; -1: the page does not say.
	uptime float64
	// calls are the attempts of each cluster that the page has anything of.
	calls map[string]clusterCalls
	// endpoints are the attempts of endpoints, with their outcomes.
	endpoints map[endpointKey]*endpointCalls
	// owners are the backends whose they are, and others' calls to which are counted by cluster.
	owners map[endpointKey]endpointOwner
	// latencies are those of clusters that are one backend's alone, by name.
	latencies map[string]Histogram
	times     sampleTimes
	// names are those of all clusters that the proxy has statistics of.
	names map[string]bool
}

// seriesKey names a counter of a proxy.
type seriesKey struct {
	// metric is the name of the counter.
	metric string
	// cluster is the name of the cluster of Envoy that it counts for.
	cluster string
	// address is that of the endpoint that it counts for; empty: for the whole cluster.
	address string
	// labels are the other labels.
	labels string
}

// series is a counter on a page.
type series struct {
	*statsSample

	// fails: it counts failed calls.
	fails bool
	// owner is whose calls it counts.
	owner endpointOwner
}

// endpointOwner says whose the calls to an endpoint are.
type endpointOwner struct {
	// backend is empty: nobody's.
	backend string
	// pod: it is a pod's, and not what passes calls on to pods, or a whole cluster.
	pod bool
}

// Labels and suffixes of Envoy's statistics. A prefix would be less certain than a suffix: methods leak
// into the names of counters, as in envoy_cluster_grpc_SayHello_0 for helloworld.Greeter/SayHello.
const (
	labelCluster  = "envoy_cluster_name"
	labelEndpoint = "envoy_endpoint_address"

	suffixSuccess = "_endpoint_rq_success"
	suffixError   = "_endpoint_rq_error"
	suffixTimeout = "_endpoint_rq_timeout"
	// suffixBegun and suffixUnderWay are the attempts of an endpoint, once they have a connection.
	suffixBegun    = "_endpoint_rq_total"
	suffixUnderWay = "_endpoint_rq_active"
	suffixTotal    = "_cluster_upstream_rq_total"
	suffixActive   = "_cluster_upstream_rq_active"
	suffixRetry    = "_cluster_upstream_rq_retry"
	suffixUptime   = "_server_uptime"
	infixGRPC      = "_cluster_grpc_"
	// suffixTime ends the name of the histogram of how long the calls of a cluster took, in milliseconds. There is none by endpoint.
	suffixTime = "_cluster_upstream_rq_time"
)

// mostCounters is how many counters of interest a cluster may have. The names of methods are chosen by
// clients, and each that a client made up has its own counters.
const mostCounters = 50_000

// grpcCode says which status code a counter of Envoy's gRPC statistics counts: the number at the
// end of its name.
func grpcCode(name string) (int, bool) {
	if !strings.Contains(name, infixGRPC) {
		return 0, false
	}
	digits := name[strings.LastIndexByte(name, '_')+1:]
	code, err := strconv.Atoi(digits)
	if err != nil || code < 0 || code > 16 || strconv.Itoa(code) != digits {
		return 0, false
	}
	return code, true
}

// failedCode says whether a gRPC status code counts as a failure of the backend: those that HTTP
// would answer with 5xx, and ResourceExhausted. The others are the caller's own doing. Envoy's per-endpoint counters
// draw the line by themselves, and count ResourceExhausted as a success.
func failedCode(code int) bool {
	switch code {
	case 2, 4, 8, 12, 13, 14, 15:
		return true
	}
	return false
}
