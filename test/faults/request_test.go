package faults

import (
	"net/http"
	"slices"
	"strings"
)

// request is one to the API server, in Kubernetes' words.
type request struct {
	// verb is get, list, watch, create, update, patch, delete or deletecollection.
	verb string
	// resource has its subresource, as in exposedservices/status; empty: the request is about the API itself.
	resource string
	name     string
	// dry: it asks what a write would come to.
	dry bool
}

// kindOfRequest is what a rule of the matrix of refusals is about.
func (r request) kindOfRequest() kindOfRequest { return kindOfRequest{r.verb, r.resource} }

// isWrite leaves out events, which say what was done and do nothing.
func (r request) isWrite() bool {
	return r.resource != "" && r.resource != "events" && !r.dry && !slices.Contains([]string{"get", "list", "watch"}, r.verb)
}

// kindOfRequest is a verb and a resource.
type kindOfRequest struct{ verb, resource string }

func (k kindOfRequest) String() string { return k.verb + " " + k.resource }

// requestOf reads a request to a path such as /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE.
func requestOf(r *http.Request) request {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parts = parts[3:]
	default:
		return request{verb: "get"}
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	out := request{resource: parts[0], dry: r.URL.Query().Has("dryRun")}
	if len(parts) > 1 {
		out.name = parts[1]
	}
	if len(parts) > 2 {
		out.resource += "/" + parts[2]
	}
	switch r.Method {
	case http.MethodGet:
		out.verb = readVerb(r, out.name)
	case http.MethodPost:
		out.verb = "create"
	case http.MethodPut:
		out.verb = "update"
	case http.MethodPatch:
		out.verb = "patch"
	case http.MethodDelete:
		out.verb = "delete"
		if out.name == "" {
			out.verb = "deletecollection"
		}
	}
	return out
}

func readVerb(r *http.Request, name string) string {
	if watch := r.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		return "watch"
	}
	if name == "" {
		return "list"
	}
	return "get"
}
