package gateway

import "slices"

// With is the expansion with more problems before and behind its own. The first one gives the condition its
// reason.
func (e Expansion) With(before, behind []Problem) Expansion {
	e.Problems = slices.Concat(before, e.Problems, behind)
	return e
}
