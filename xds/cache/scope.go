package cache

import (
	"slices"
	"strings"
)

// Scope bounds what a client may read, and says what it means by everything.
type Scope struct {
	// Namespace is the only one that the client may read; empty: none.
	Namespace string
	// AllNamespaces: the client may read all namespaces.
	AllNamespaces bool
	// Everything is what a wildcard selects, within what may be read.
	Everything Selector
}

// Selector selects the owners of a namespace, or one of them when it has a name. The zero value selects none.
type Selector Owner

// ParseSelector reads `<namespace>` or `<namespace>/<name>`.
func ParseSelector(text string) (Selector, bool) {
	namespace, name, named := strings.Cut(text, "/")
	if namespace == "" || named && (name == "" || strings.Contains(name, "/")) {
		return Selector{}, false
	}
	return Selector{Namespace: namespace, Name: name}, true
}

// Reads says whether a client may read a namespace.
func (s Scope) Reads(namespace string) bool {
	return s.AllNamespaces || namespace != "" && namespace == s.Namespace
}

func (s Scope) selects(e *Entry) bool {
	if !s.Reads(e.namespace()) || s.Everything.Namespace != e.namespace() {
		return false
	}
	return s.Everything.Name == "" || slices.Contains(e.names, Owner(s.Everything))
}
