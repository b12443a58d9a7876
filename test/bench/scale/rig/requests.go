package rig

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
)

// Request is a kind of request.
type Request struct {
	// Verb is the API server's word: get, list, watch, create, update, patch, delete.
	Verb string
	// Resource is plural, with "/" and the subresource if there is one; "(discovery)" for what is no resource.
	Resource string
	// Code is the status of an answer that is an error; 0 for all others.
	Code int
}

// Requests are how many there were of each kind.
type Requests map[Request]int

// Since is what came after an earlier count.
func (r Requests) Since(earlier Requests) Requests {
	out := Requests{}
	for request, n := range r {
		if more := n - earlier[request]; more != 0 {
			out[request] = more
		}
	}
	return out
}

// Sum is how many there are of the kinds that are wanted.
func (r Requests) Sum(wanted func(Request) bool) int {
	sum := 0
	for request, n := range r {
		if wanted(request) {
			sum += n
		}
	}
	return sum
}

// Sorted are the kinds by verb, resource and code.
func (r Requests) Sorted() []Request {
	return slices.SortedFunc(maps.Keys(r), func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Code, b.Code))
	})
}

// All wants every request.
func All(Request) bool { return true }

// InVain wants the GETs that found nothing.
func InVain(r Request) bool { return r.Verb == "get" && r.Code == http.StatusNotFound }

// Writing wants writes of any kind.
func Writing(r Request) bool {
	return !slices.Contains([]string{"get", "list", "watch"}, r.Verb)
}
