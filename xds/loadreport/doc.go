// Package loadreport counts the calls of Envoys and gRPC clients by what they report of them: the load reporting
// service (LRS) beside discovery, on the same port and for the same certificates.
//
// A client opens one stream, is told the interval, and sends what it counted since its last report, by cluster and
// locality. Package resource names a cluster after the ExposedService and a locality's zone after the backend, and that is
// how a count finds its backend. What a client may not read, what is no cluster of Headgate's and what makes no
// sense is left out and counted as ignored ([Server] has the metric).
//
// # What is counted
//
// Calls that ended, as the client saw them: Envoy takes for an error what HTTP would answer with a 5xx (for gRPC
// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, also in trailers); gRPC clients whatever is not
// OK, NOT_FOUND as well. Each attempt of a call counts where it went. Neither kind of client reports by gRPC
// status, or by endpoint unless asked to, so nothing here does.
//
// # Why totals
//
// A report is a difference: it is added once, and whoever loses a connection has lost at most the report that was on
// its way. So a client that vanishes, comes back or turns to another replica subtracts and repeats nothing, and
// needs no memory here. What has been counted since the start of a replica only grows; a reader remembers what
// it has seen and takes the difference. A replica that starts again says so by its run.
//
// What was given up without an outcome no client reports: it is what has begun, has not ended and is no longer under way. It is worked
// out for each client, whose reports fit each other, and is the least that it can have been. Of calls so rare that
// most reports of an Envoy leave them out nothing is certain.
//
// What is under way is no total: it is the sum of what each connected client said last, and goes with a client that leaves or
// falls silent.
//
// A client that is connected and silent is not taken for one without calls: clients report in every interval, also when
// there is nothing to say, and one that has not for [Config.Silence] is not heard. Reports that cover more than
// [Config.MaxSpan], after a connection was away for longer, say nothing of now and are left out.
//
// # Several replicas
//
// Each client reports to one replica, and one replica decides. It asks the others ([Replicas]) for their totals, each
// time, on the port of discovery. They know each other by the key of the server's certificate, which all replicas have
// and nobody else. If one does not answer, the reader is told and can say that nothing is known. The alternatives were
// left: counts in a status are a write per second and ExposedService, and counts as metrics take a token, a role
// and a scrape of what nobody asked for.
package loadreport
