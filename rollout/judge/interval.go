package judge

import "math"

// Interval gives the error rates that the counts leave possible, for people: at any time and however often one looks, the true
// rate is within with a probability of at least confidence. It is the confidence sequence of a mixture of binomials over the prior
// Beta(1/2, 50), made for rare errors (Robbins, 1970): all p with
//
//	ln B(1/2+e, 50+n-e) - ln B(1/2, 50) - e ln p - (n-e) ln(1-p) < -ln(1-confidence)
func Interval(n Totals, confidence float64) (low, high float64) {
	failed := float64(min(n.Errors, n.Calls))
	passed := float64(n.Calls) - failed
	if n.Calls == 0 || !(confidence > 0 && confidence < 1) {
		return 0, 1
	}
	evidence := func(p float64) float64 {
		against := lnBeta(0.5+failed, 50+passed) - lnBeta(0.5, 50)
		if failed > 0 {
			against -= failed * math.Log(p)
		}
		if passed > 0 {
			against -= passed * math.Log1p(-p)
		}
		return against
	}
	need, rate := -math.Log(1-confidence), failed/(failed+passed)
	border := func(outside, inside float64) float64 {
		for range 60 {
			if middle := (outside + inside) / 2; evidence(middle) < need {
				inside = middle
			} else {
				outside = middle
			}
		}
		return outside
	}
	low, high = 0, 1
	if failed > 0 {
		low = border(0, rate)
	}
	if passed > 0 {
		high = border(1, rate)
	}
	return low, high
}

func lnBeta(a, b float64) float64 {
	lnA, _ := math.Lgamma(a)
	lnB, _ := math.Lgamma(b)
	lnSum, _ := math.Lgamma(a + b)
	return lnA + lnB - lnSum
}
