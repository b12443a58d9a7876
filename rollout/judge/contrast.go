package judge

import "math"

// contrast compares two arms by who got what: given that a call of this tick ended in bucket b, was it the canary's? Whatever
// both arms share (incidents, load, the time of day) cancels, and the split of traffic may be another in each tick.
//
// With n_C and n_S finished calls and C_b and S_b of them in bucket b, the hypothesis g_b <= M_b f_b + D about the rates of the
// canary and of stable, and the alternative g_b = psi_b f_b, a tick multiplies the evidence by e^l:
//
//	a_b = (psi_b/M_b) (M_b n_C + n_S)/(psi_b n_C + n_S)
//	b_b = (M_b n_C + n_S)/(psi_b n_C + n_S)
//	l   = sum_b [C_b ln a_b + S_b ln b_b] - n_C D (a_top - 1)
//
// It is the two-sample e-variable of Turner, Ly and Gruenwald (Generic E-variables for exact sequential k-sample tests, 2024) with
// a margin. From 1+x <= e^x and M_b n_C (a_b - 1) + n_S (b_b - 1) = 0 follows
//
//	E[e^l] <= exp{ n_C [ sum_b (g_b - M_b f_b)(a_b - 1) - D (a_top - 1) ] }
//
// so e^l gains nothing in the mean while the hypothesis holds: for one bucket in both directions (a < 1 where psi < M, then for
// g_b >= M_b f_b + D), for several under the conditions that latencyContrast keeps. Buckets that are not listed bet nothing.
type contrast struct {
	margin     []float64   // M_b by bucket, above 0
	bets       [][]float64 // psi_b by alternative and bucket
	difference float64     // D, for the last bucket; only with a single bucket
}

// counts of calls by bucket in one tick, and all calls of each arm, in listed buckets or not.
type counts struct {
	canary, stable           []uint64
	canaryCalls, stableCalls uint64
}

// gains gives l for each alternative. Both arms must have calls.
func (c contrast) gains(n counts) []float64 {
	nC, nS := float64(n.canaryCalls), float64(n.stableCalls)
	gains := make([]float64, len(c.bets))
	for b, margin := range c.margin {
		if n.canary[b] == 0 && n.stable[b] == 0 && c.difference == 0 {
			continue
		}
		lnMargin, mixed := math.Log(margin), math.Log(margin*nC+nS)
		for j, psi := range c.bets {
			if psi[b] == margin {
				continue
			}
			onStable := mixed - math.Log(psi[b]*nC+nS)
			onCanary := math.Log(psi[b]) - lnMargin + onStable
			if n.canary[b] > 0 { // psi 0 has minus infinity here
				gains[j] += float64(n.canary[b]) * onCanary
			}
			gains[j] += float64(n.stable[b])*onStable - nC*c.difference*math.Expm1(onCanary)
		}
	}
	return gains
}

// alternatives is the number of ratios beyond a margin that are tried.
const alternatives = 16

// moreThan tests whether a share is more than what is allowed; alternatives from 1.25 to 547 times the ratio.
func moreThan(allowed Margin) contrast {
	psi := make([]float64, alternatives)
	for j, next := 0, allowed.Ratio*1.25; j < len(psi); j, next = j+1, next*1.5 {
		psi[j] = next
	}
	return oneBucket(allowed, psi)
}

// within are the alternatives of lessThan, in parts of the ratio, after the one that is chosen. One lies close to it: what an alternative
// gains in the mean has the sign of M f + D - g as it comes closer. With those further away alone, a share in the upper half of the
// margin was never proved to be within.
var within = []float64{0, 0.3, 0.6, 0.95}

// lessThan tests whether a share is less than what is allowed; the mirror of moreThan, and no errors at all, which is the rule of
// three where neither side has an error: n_C D nats from n_C calls.
//
// The first alternative is the best one for a canary that is as good as stable, whose share was rate before the tick, with the
// calls of this tick: the hypothesis that a proof is made for is known, unlike what speaks against a canary.
func lessThan(allowed Margin, n counts, rate float64) contrast {
	c := oneBucket(allowed, make([]float64, 1+len(within)))
	for j, part := range within {
		c.bets[1+j][0] = part * allowed.Ratio
	}
	best := math.Inf(-1)
	for _, part := range []float64{0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9} {
		psi := part * allowed.Ratio
		if gain := c.meanGain(psi, float64(n.canaryCalls), float64(n.stableCalls), rate); gain > best {
			best, c.bets[0][0] = gain, psi
		}
	}
	return c
}

// meanGain is what an alternative gains in the mean from so many calls of each side with the same rate. There is one bucket.
func (c contrast) meanGain(psi, canary, stable, rate float64) float64 {
	onStable := math.Log(c.margin[0]*canary+stable) - math.Log(psi*canary+stable)
	onCanary := math.Log(psi) - math.Log(c.margin[0]) + onStable
	gain := stable*rate*onStable - canary*c.difference*math.Expm1(onCanary)
	if rate > 0 {
		gain += canary * rate * onCanary
	}
	return gain
}

func oneBucket(allowed Margin, psi []float64) contrast {
	c := contrast{margin: []float64{allowed.Ratio}, difference: allowed.Difference, bets: make([][]float64, len(psi))}
	for j := range psi {
		c.bets[j] = psi[j : j+1]
	}
	return c
}
