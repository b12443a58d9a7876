package cache

// selections finds the subscriptions whose wildcard selects an owner.
type selections map[Selector]map[*subscription]struct{}

func (s selections) add(selector Selector, sub *subscription) {
	if s[selector] == nil {
		s[selector] = map[*subscription]struct{}{}
	}
	s[selector][sub] = struct{}{}
}

func (s selections) remove(selector Selector, sub *subscription) {
	delete(s[selector], sub)
	if len(s[selector]) == 0 {
		delete(s, selector)
	}
}

// of yields the subscriptions that select an owner: those of its whole namespace and those of it alone.
func (s selections) of(o Owner) func(func(*subscription) bool) {
	return func(yield func(*subscription) bool) {
		for _, selector := range []Selector{{Namespace: o.Namespace}, Selector(o)} {
			for sub := range s[selector] {
				if !yield(sub) {
					return
				}
			}
		}
	}
}
