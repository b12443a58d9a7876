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

	entries []*Entry // by holder
	watches []*watch
}

// put makes e the resource of its holder.
func (t *topic) put(e *Entry) {
	i, found := t.find(e.holder)
	if found {
		t.entries[i] = e
		return
	}
	t.entries = slices.Insert(t.entries, i, e)
}

// drop removes the resource that was set for o.
func (t *topic) drop(o *owner) {
	if i, found := t.find(o); found {
		t.entries = slices.Delete(t.entries, i, i+1)
	}
}

func (t *topic) find(o *owner) (int, bool) {
	return slices.BinarySearchFunc(t.entries, o.name, func(e *Entry, name Owner) int {
		return cmp.Or(cmp.Compare(e.holder.name.Namespace, name.Namespace), cmp.Compare(e.holder.name.Name, name.Name))
	})
}

func (t *topic) join(w *watch) {
	w.at = len(t.watches)
	t.watches = append(t.watches, w)
}

func (t *topic) leave(w *watch) {
	last := len(t.watches) - 1
	t.watches[w.at] = t.watches[last]
	t.watches[w.at].at = w.at
	t.watches[last] = nil
	t.watches = t.watches[:last]
}

func (t *topic) empty() bool { return len(t.entries) == 0 && len(t.watches) == 0 }
