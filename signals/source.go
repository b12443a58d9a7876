package signals

import (
	"cmp"
	"context"
	"net/netip"
	"time"
)

// Source is where counts of calls come from. One is made for each ExposedService. Its methods may
// be called concurrently; looks are taken one at a time.
type Source interface {
	// Name says which source it is, for people and metrics.
	Name() string
	// Read counts the calls since the last look. The Reading is complete and may be used whatever
	// the error is: a backend that nothing is known of says so in its Counts. An error means that
	// the source as a whole could not be read.
	//
	// Counts are handed out once: a caller that has to try again what it does with them keeps them.
	Read(ctx context.Context, query Query) (Reading, error)
	// Health says how well the source can be read.
	Health() Health
}

// Query says what to count. Each source uses the part that it needs.
type Query struct {
	// Namespace and Name are those of the ExposedService.
	Namespace, Name string
	// Backends are the backends to count for.
	Backends []Backend
	// Cluster is the name of the Envoy cluster that backends share. Its calls are told apart by
	// the addresses that they went to. Empty: there is none.
	Cluster string
	// Proxies are the running proxies of the Gateway.
	Proxies []Proxy
	// GivesUp: the proxies give up attempts that are silent for a time that somebody chose for the next one to be made, instead of letting
	// them go on beside it. Such an attempt might have been answered, and counts neither as a call nor as an error.
	GivesUp bool
}

// Backend is a backend to count for.
type Backend struct {
	// Name is its name in the ExposedService.
	Name string
	// Service is the name of its Service, and empty for a backend without one.
	Service string
	// Side says which side of a rollout it is, stable or canary; empty: there is no rollout.
	Side string
	// Workload is the name of the Deployment that the side's pods are of, and PodTemplateHash what tells them from those of the other side;
	// empty: not known.
	Workload, PodTemplateHash string
	// Locality is how clients of Headgate's own xDS call it in their reports; empty: by its name.
	Locality string
	// Cluster is the name of the Envoy cluster that is this backend's alone. Empty: it has none.
	Cluster string
	// Endpoints are the addresses that it is called at: its pods, and the ClusterIP of its Service
	// where Envoy is given that as well.
	Endpoints []Endpoint
	// Pods are the pods that show metrics of their own; NoPods is why none are known, and empty when they are.
	Pods   []Pod
	NoPods string
}

// Proxy is a pod of the Gateway.
type Proxy struct {
	// ID tells it from all others there have ever been: the UID of the pod.
	ID string
	// Name is the name of the pod, for people.
	Name string
	// Address is where its statistics are: the IP of the pod and [StatsPort].
	Address netip.AddrPort
}

// Reading is one look at a source.
type Reading struct {
	// Source is the name of the source.
	Source string
	// Taken is when it was taken: nothing in it is older.
	Taken time.Time
	// Bound is how long it may be used.
	Bound time.Duration
	// Backends holds the counts of every backend of the query, by name.
	Backends map[string]Counts
	// Work is how busy the backends are, all together.
	Work Work
	// Asked and Answered count the proxies, or servers, that were asked, and those whose answer
	// could be used.
	Asked, Answered int
	// Notes say what went wrong or looks odd, for people.
	Notes []string
}

// Stale says whether the reading is too old to be used, or is from the future.
func (r Reading) Stale(now time.Time) bool {
	age := now.Sub(r.Taken)
	return age > r.Bound || age < -r.Bound
}

// Share is the share of what was asked that answered, from 0 to 1.
func (r Reading) Share() float64 {
	if r.Asked == 0 {
		return 0
	}
	return float64(r.Answered) / float64(r.Asked)
}

// Work is how busy the backends of a query are, all together: attempts of calls, whichever backend they were sent to and whatever became
// of them. By Little's law (L = λW, Little 1961) InFlight divided by the attempts started per second is how long one takes, in
// seconds, while neither changes much.
//
// Both are of the same proxies, or clients. Which they are may change from reading to reading, and what was started while one could
// not be read, or before it was read first, may be in no reading.
type Work struct {
	// Started is how many attempts were started in (Start, End]; none is in two readings.
	Started uint64
	// InFlight is how many were under way at End, or when that was last reported.
	InFlight uint64
	// Start is the oldest of when the parts of the source were last read, and before End. It is before the End of the last reading when
	// a part could not be read then: Started of that part is of a longer time than that of the others.
	Start, End time.Time
	// Known says whether anything is known, which is only ever the case with the sources Envoy and LoadReports. If not, the other
	// fields are zero.
	Known bool
}

// Counts are the calls of one backend.
type Counts struct {
	// Calls is the number of calls that ended in (Start, End], and Errors the number of those that failed.
	// When a part of the source could not be read for a while, its calls of that time are among
	// the first counts after it: intervals never overlap and no call is in two of them.
	Calls, Errors uint64
	Start, End    time.Time
	// Cancelled is the number of calls that ended in (Start, End] without an outcome, because whoever made them gave them up. They are
	// in neither Calls nor Errors. Where it is worked out of other counters it comes a look late, and is the least that it can be.
	// TellsCancelled: the source knows it; otherwise it is zero and means nothing.
	Cancelled      uint64
	TellsCancelled bool
	// Begun is the number of calls that began in (Start, End], and InFlight how many were under way at End, of the parts of the source
	// that were read. Attempts that found no connection are in Calls and Errors alone. TellsBegun: the source knows both;
	// otherwise they are zero and mean nothing.
	Begun, InFlight uint64
	TellsBegun      bool
	// Pods are Calls and Errors told apart by pod, in the order of their IDs; nil: the source cannot. All together have at most
	// as many as there are, because the source may not know of all of them whose they are. Of more than [MostPods] pods there are
	// those with the smallest hashes of their IDs, so that each look sees the same ones.
	Pods []PodCalls
	// Latencies is how long calls that ended in (Start, End] took: all of them, or as many as the source knows it of.
	Latencies Histogram
	// NoLatencies is why the latencies are not known, in words; empty: they are.
	NoLatencies string
	// Unknown is why nothing is known, and empty when the counts are known. Then the other fields are zero.
	Unknown Unknown
	// Message says the same in words.
	Message string
}

// Known says whether the counts are known.
func (c Counts) Known() bool { return c.Unknown == "" }

// Unknown is a reason why nothing is known, one word for programs.
type Unknown string

const (
	// UnknownFirstLook: this is the first look (after a start, or at all proxies), and calls are counted from here.
	UnknownFirstLook Unknown = "FirstLook"
	// UnknownNoProxies: the Gateway has no running proxy.
	UnknownNoProxies Unknown = "NoProxies"
	// UnknownUnreachable: the source did not answer, or with an error, or not in time.
	UnknownUnreachable Unknown = "Unreachable"
	// UnknownGarbage: the source answered something that is not what was asked for.
	UnknownGarbage Unknown = "Garbage"
	// UnknownQuery: the query cannot be kept to what it may read, and was not sent.
	UnknownQuery Unknown = "Query"
	// UnknownEmpty: the source answered, and has nothing on this backend.
	UnknownEmpty Unknown = "Empty"
	// UnknownTime: the source's time is in the future, in the past, or stands still.
	UnknownTime Unknown = "Time"
	// UnknownGap: the last look is too long ago for the calls since then to say anything of now.
	UnknownGap Unknown = "Gap"
	// UnknownReset: the counter fell, and how many calls lie between the two looks cannot be told.
	UnknownReset Unknown = "Reset"
	// UnknownAmbiguous: an address belongs to more than one backend.
	UnknownAmbiguous Unknown = "Ambiguous"
	// UnknownInconsistent: there are more errors than calls.
	UnknownInconsistent Unknown = "Inconsistent"
)

// withoutLatencies is why the first reading of latencies has none, and the first after they could not be read.
const withoutLatencies = "latencies are counted from now on"

// unknown is the Counts of a backend that nothing is known of.
func unknown(why Unknown, message string) Counts { return Counts{Unknown: why, Message: message} }

// locality is how clients call it in their reports.
func (b Backend) locality() string { return cmp.Or(b.Locality, b.Name) }

// allUnknown gives every backend of a query the same reason.
func allUnknown(query Query, why Unknown, message string) map[string]Counts {
	out := make(map[string]Counts, len(query.Backends))
	for _, backend := range query.Backends {
		out[backend.Name] = unknown(why, message)
	}
	return out
}
