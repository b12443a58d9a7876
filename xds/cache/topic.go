package cache

import (
	"cmp"
	"slices"
)

// topic is a name of a type: the resources that bear it, and who waits for them. More than one owner
// may have a resource of that name, say two namespaces that expose the same host; each client gets the
// first that it may read, so that no namespace can take a name away from another.
type topic struct {
	key

	entries []*Entry // the earliest first ([Resource.Since]), then by holder
	watches []*watch
}

// put makes e the resource of its holder.
func (t *topic) put(e *Entry) {
	t.drop(e.holder)
	i, _ := slices.BinarySearchFunc(t.entries, e, before)
	t.entries = slices.Insert(t.entries, i, e)
}

// drop removes the resource that was set for o.
func (t *topic) drop(o *owner) {
	t.entries = slices.DeleteFunc(t.entries, func(e *Entry) bool { return e.holder == o })
}

func before(a, b *Entry) int {
	return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.holder.name.Namespace, b.holder.name.Namespace), cmp.Compare(a.holder.name.Name, b.holder.name.Name))
}

func (t *topic) join(w *watch) {
	w.inTopic = int32(len(t.watches)) //nolint:gosec // as many as clients
	t.watches = append(t.watches, w)
}

func (t *topic) leave(w *watch) {
	last := len(t.watches) - 1
	t.watches[w.inTopic] = t.watches[last]
	t.watches[w.inTopic].inTopic = w.inTopic
	t.watches[last] = nil
	t.watches = t.watches[:last]
}

func (t *topic) empty() bool { return len(t.entries) == 0 && len(t.watches) == 0 }
