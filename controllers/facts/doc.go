// Package facts reads what is known of the backends of an ExposedService: Services, EndpointSlices, grants and
// classes from the cache, at once; addresses of hosts and probes of pods beside the reader, which is woken when
// they are there. Nothing in it is a judgement: what does not exist is nil, and what is not known is unknown.
package facts
