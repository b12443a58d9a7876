package main

import (
	"sync"
	"time"
)

// what is something that happens on the way from a death to the first call elsewhere.
type what string

const (
	// podUnready: a pod of the application is no longer ready.
	podUnready what = "pod unready"
	// sliceEmpty: no endpoint of the application's own Service is ready.
	sliceEmpty what = "EndpointSlice without a ready endpoint"
	// decided: there is a new revision of the decision, by which the application serves.
	decided what = "decision"
	// written: there is a new generation of the route, in which the application has most of the calls.
	written what = "route"
	// accepted: Envoy Gateway has accepted a generation of the route.
	accepted what = "route accepted"
	// interrupted: a watch broke off, and what came meanwhile came late.
	interrupted what = "watch interrupted"
)

// moment is when something was heard of, on this machine's monotonic clock.
type moment struct {
	at   time.Time
	what what
	// app is the application that it is about.
	app string
	// number is the decision's revision, or the route's generation.
	number int64
	// taken is when the decision was taken by its own account, on the wall clock.
	taken time.Time
}

// moments are all that have been heard of, in the order of their arrival.
type moments struct {
	mu   sync.Mutex
	list []moment
}

func (m *moments) note(moment moment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, moment)
}

// first is the first one after a time that fits; false: none yet.
func (m *moments) first(after time.Time, fits func(moment) bool) (moment, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, have := range m.list {
		if have.at.After(after) && fits(have) {
			return have, true
		}
	}
	return moment{}, false
}

// of fits what happens to an application.
func of(w what, app string) func(moment) bool {
	return func(m moment) bool { return m.what == w && m.app == app }
}
