package judge

import "math"

// Nats is the logarithm of an amount of evidence in millionths of a nat, rounded down. Zero means no evidence at all (the
// logarithm of zero), so that the zero value of every state is its start; an amount of exactly one is written -1.
//
// Integers make the round trip through text exact on every machine, and Kubernetes allows no floats in a status. Rounding
// down only ever lowers evidence, so it costs a millionth and no guarantee.
type Nats int64

const (
	natsPerUnit = 1e6
	// leastNats is where evidence is dropped: e^-60 of a budget decides nothing, and less evidence is always allowed.
	leastNats = -60
	// mostNats keeps sums of exponentials finite.
	mostNats = 600
)

var negInf = math.Inf(-1)

// natsOf writes a natural logarithm. NaN and everything below leastNats become no evidence.
func natsOf(ln float64) Nats {
	if !(ln > leastNats) {
		return 0
	}
	n := Nats(math.Floor(min(ln, mostNats) * natsPerUnit))
	if n == 0 {
		return -1
	}
	return n
}

// ln is the natural logarithm, minus infinity where there is no evidence.
func (n Nats) ln() float64 {
	if n == 0 {
		return negInf
	}
	return float64(n) / natsPerUnit
}

// logAdd is ln(e^a + e^b).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logSum is the logarithm of the sum of the evidence in list.
func logSum(list []Nats) float64 {
	top := negInf
	for _, n := range list {
		top = max(top, n.ln())
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, n := range list {
		if n != 0 {
			sum += math.Exp(n.ln() - top)
		}
	}
	return top + math.Log(sum)
}

// lower takes excess off every part of list, which scales their sum by e^-excess.
func lower(list []Nats, excess float64) {
	for i, n := range list {
		list[i] = natsOf(n.ln() - excess)
	}
}
