// Package metrics declares what the controllers tell about themselves and about ExposedServices, with help
// texts and units. Counters and histograms are fed by who does the work; what statuses say is read from the
// cache when somebody asks.
package metrics
