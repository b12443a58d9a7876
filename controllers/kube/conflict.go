package kube

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// staleFor is how long an object is read past the cache after a write showed that the cache is behind: its
// watch may be broken.
const staleFor = 30 * time.Second

// NoteConflict has an object read past the cache for a while, if the error says that it was changed by somebody
// else. What one has written oneself is waited for; what others have written is not, and without a watch the same
// write would be refused again and again.
func NoteConflict(reader client.Reader, object client.Object, err error) {
	if apierrors.IsConflict(err) {
		noteStale(reader, object)
	}
}

// noteStale has an object read past the cache for a while. It takes a client of NewFreshReads; others read as they do.
func noteStale(reader client.Reader, object client.Object) {
	if f, ok := reader.(*freshReads); ok {
		f.noteStale(object)
	}
}

// staleObject names an object of a Go type.
type staleObject struct {
	kind string
	types.NamespacedName
}
