// Package remainder tells how many calls were given up by whoever made them, from counters that do not say so: those that began,
// that ended with an outcome, and that are under way.
package remainder

// Remainder is what calls that began leave over when those with an outcome and those under way are taken away: calls that were given
// up. The zero value is one before its first look.
//
// The counters are read one after the other while calls go on, so that a look may leave over a call too many or too few, which the
// next look makes good. A call counts as given up when it was left over in two looks running. What a look leaves short is taken
// from later ones, so that the sum never runs ahead of the truth.
//
// An attempt that found no connection fails without having begun, and leaves a call short that no later look makes good. It would
// hide one that is given up. So what is short for two looks running is forgiven, as far as attempts failed in them.
type Remainder struct {
	// left is over, or short, and not settled.
	left float64
	// failed is how many failed in the last look.
	failed float64
}

// Settle takes in what a look leaves over, and how many calls failed in it. It returns how many more were given up for certain.
func (r *Remainder) Settle(over, failed float64) (givenUp float64) {
	before, lately := r.left, r.failed+failed
	r.left += over
	r.failed = failed
	switch {
	case before > 0 && r.left > 0:
		givenUp = min(before, r.left)
		r.left -= givenUp
	case before < 0 && r.left < 0:
		r.left += min(-before, -r.left, lately)
	}
	return givenUp
}
