package cache

// wildcardName is the name that asks for everything (xDS protocol, "How the client specifies what
// resources to return").
const wildcardName = "*"

// wildcards finds the subscriptions whose wildcard selects an owner.
type wildcards map[Selector]map[*subscription]struct{}

func (w wildcards) add(selector Selector, sub *subscription) {
	if w[selector] == nil {
		w[selector] = map[*subscription]struct{}{}
	}
	w[selector][sub] = struct{}{}
}

func (w wildcards) remove(selector Selector, sub *subscription) {
	delete(w[selector], sub)
	if len(w[selector]) == 0 {
		delete(w, selector)
	}
}

// of yields the subscriptions that select an owner: those of its whole namespace and those of it alone.
func (w wildcards) of(o Owner) func(func(*subscription) bool) {
	return func(yield func(*subscription) bool) {
		for _, selector := range []Selector{{Namespace: o.Namespace}, Selector(o)} {
			for sub := range w[selector] {
				if !yield(sub) {
					return
				}
			}
		}
	}
}
