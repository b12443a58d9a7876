package loadreport

import (
	"strings"

	"github.com/headgate/headgate/xds/cache"
)

// ownerOf is the ExposedService of a cluster of package resource: `<namespace>/<name>` or
// `<namespace>/<name>/<backend>`.
func ownerOf(cluster string) (cache.Owner, bool) {
	namespace, rest, _ := strings.Cut(cluster, "/")
	name, backend, share := strings.Cut(rest, "/")
	if namespace == "" || name == "" || share && (backend == "" || strings.Contains(backend, "/")) {
		return cache.Owner{}, false
	}
	return cache.Owner{Namespace: namespace, Name: name}, true
}

// isOwn says whether a cluster with an owner is one backend's alone.
func isOwn(cluster string) bool { return strings.Count(cluster, "/") > 1 }
