// Package calls counts, beside the reconciler, the calls of the ExposedServices that ask for it, and wakes the reconciler when their
// counts make it decide anything.
//
// Every second each ExposedService is looked at by itself: a source that is slow or silent keeps nobody waiting but its owner. What
// sources have in common, a server or a place among those that are under way, is shared out fairly by namespace.
package calls
