package loadreport

import endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

// Totals are calls since the start of a replica.
type Totals struct {
	// Issued calls have begun, whether or not they have ended.
	Issued uint64
	// Succeeded and Failed calls have ended.
	Succeeded, Failed uint64
}

// maxCalls of a locality in one report. A client makes less than a million calls a second; what is beyond this
// is no count, and a sum of such could overflow.
const maxCalls = 1 << 36

func (t Totals) plus(more Totals) Totals {
	return Totals{Issued: t.Issued + more.Issued, Succeeded: t.Succeeded + more.Succeeded, Failed: t.Failed + more.Failed}
}

func (t Totals) sensible() bool {
	return t.Issued <= maxCalls && t.Succeeded <= maxCalls && t.Failed <= maxCalls
}

func totalsOf(locality *endpoint.UpstreamLocalityStats) Totals {
	return Totals{
		Issued:    locality.GetTotalIssuedRequests(),
		Succeeded: locality.GetTotalSuccessfulRequests(),
		Failed:    locality.GetTotalErrorRequests(),
	}
}
