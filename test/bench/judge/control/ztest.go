package control

import (
	"math"

	"github.com/headgate/headgate/rollout/judge"
)

// ZTest is the one-sided test of two proportions at 5 %, looked at after each tick as if that tick were the only look.
type ZTest struct {
	canary, stable judge.Counts
}

// RollBack says whether z is above 1.645.
func (w *ZTest) RollBack(t judge.Tick) bool {
	w.canary, w.stable = add(w.canary, t.Canary), add(w.stable, t.Stable)
	nC, nS := float64(w.canary.Calls), float64(w.stable.Calls)
	pooled := float64(w.canary.Errors+w.stable.Errors) / (nC + nS)
	deviation := math.Sqrt(pooled * (1 - pooled) * (1/nC + 1/nS))
	return (float64(w.canary.Errors)/nC-float64(w.stable.Errors)/nS)/deviation > 1.645
}
