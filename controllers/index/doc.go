// Package index leads from a changed object to the ExposedServices that it matters to: the indexes of the
// cache, and the handlers of events that ask them.
package index
