package judge

import (
	"math"
	"time"
)

// proof is the evidence of one kind that the canary may have a share of the calls: one process from the first call on.
type proof struct {
	share int32
	kind  kind
	process
}

// freshThreshold is the evidence, in nats, that each step has to bring for itself: faults that come with load are in no evidence from
// before. Who is beyond the margin brings it with a probability of a third at most.
var freshThreshold = math.Log(3)

// usualRate is stable's share of a kind before a block, of errors or cancelled calls. One in a hundred calls is assumed before there are any.
func (s State) usualRate(k kind) float64 {
	n := s.seen.of(k)
	return (float64(n.stable[0]) + 1) / (float64(n.stableCalls) + 100)
}

// proveErrors takes the block that ends into the proofs, without waiting for what comes after it. An outage proves nothing, for to fail no
// more often than what fails anyway is easy.
func (j Judge) proveErrors(s State) State {
	b := s.open
	if b.cold || s.worstLately() > 0 && !s.spared() {
		return s
	}
	for _, k := range []kind{kindErrors, kindCancelled} {
		rate, n := j.rate(k), b.of(k)
		if rate == nil || n.canaryCalls == 0 || n.stableCalls == 0 {
			continue
		}
		usual := s.usualRate(k)
		if s.surprising(n, usual) {
			continue
		}
		s = j.prove(s, k, b, func(share int32) []float64 { return lessThan(rate.Prove.At(share), n, usual).gains(n) })
	}
	s.seen = s.seen.plus(b.sums)
	if s.seen.elapsed >= seenFor && s.seen.stableCalls >= seenCalls {
		s.seen = s.seen.half()
	}
	return s
}

// surprising says whether stable has more errors in a block than it usually has, half as many again and three standard deviations. An outage that begins at the end of a block looks like that:
// where the canary's counts are a second late, its errors are in the next block, and this one would prove that it fails far less often.
// To leave blocks out because of stable alone can only keep a proof back, for it gains most when stable has many errors.
func (s State) surprising(n counts, usual float64) bool {
	mean := usual * float64(n.stableCalls)
	return float64(n.stable[0]) > 1.5*mean+3*math.Sqrt(mean*s.spread.factor())+outageErrors
}

// seenFor is the time, and seenCalls the calls, after which what was usual counts for half, so that stable may change for good.
const (
	seenFor   = 5 * time.Minute
	seenCalls = 10_000
)

// prove takes a block into the proofs of a kind.
func (j Judge) prove(s State, k kind, b block, gains func(share int32) []float64) State {
	proofs := make([]proof, 0, len(s.gates)+1)
	for _, p := range s.gates {
		if p.kind != k {
			proofs = append(proofs, p)
		}
	}
	for i, share := range j.Shares[:min(len(j.Shares), mostShares)] {
		before := s.proofOf(k, share)
		won := gains(share)
		proofs = append(proofs, proof{share, k, before.advance(j.recoveries(), won, b.elapsed)})
		if i == 0 && b.fresh {
			s.fresh[k] = s.fresh[k].advance(j.recoveries(), won, b.elapsed)
		}
	}
	s.gates = proofs
	return s
}

func (s State) proofOf(k kind, share int32) process {
	for _, p := range s.gates {
		if p.kind == k && p.share == share {
			return p.process
		}
	}
	return process{}
}

// recoveries is the pace of a proof. Nearly everything is bet on a canary that is within the margin from the first tick on, and the
// rest on one that gets there later: without it, errors at the beginning would close the gate for ever. Two blocks at least make a proof:
// in a single one the counts of both sides may not be of the same time.
func (j Judge) recoveries() pace {
	return pace{planned: j.Planned, first: 0.9, favoured: 0.6, perTick: -math.Log(j.Beta) / 2}
}

// proves are the kinds of proofs that are asked for.
func (j Judge) proves(s State) []kind {
	var list []kind
	for k, on := range [gateKinds]bool{j.Errors != nil, j.Cancelled != nil && s.tellsCancelled, j.Latency != nil && j.Latency.Prove != nil} {
		if on {
			list = append(list, kind(k))
		}
	}
	return list
}
