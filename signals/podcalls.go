package signals

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// PodCalls are the calls of one pod, or of one address that is called.
type PodCalls struct {
	// ID tells it from the others of its backend, from look to look. What it is depends on the source.
	ID            string
	Calls, Errors uint64
}

// MostPods is how many pods of a backend are told apart.
const MostPods = 64

// MergePods are the calls of both by pod. Neither is changed.
func MergePods(a, b []PodCalls) []PodCalls {
	switch {
	case len(a) == 0 && b != nil:
		return b
	case len(b) == 0:
		return a
	}
	out := slices.Concat(a, b)
	slices.SortStableFunc(out, byID)
	last := 0
	for _, pod := range out[1:] {
		if out[last].ID == pod.ID {
			out[last].Calls += pod.Calls
			out[last].Errors += pod.Errors
			continue
		}
		last++
		out[last] = pod
	}
	return boundPods(out[:last+1])
}

func byID(a, b PodCalls) int { return cmp.Compare(a.ID, b.ID) }

// boundPods sorts a list that may be written to, and leaves away what is too much of it.
func boundPods(pods []PodCalls) []PodCalls {
	if len(pods) > MostPods {
		type hashed struct {
			hash uint64
			pod  PodCalls
		}
		all := make([]hashed, len(pods))
		for i, pod := range pods {
			all[i] = hashed{hashOf(pod.ID), pod}
		}
		slices.SortFunc(all, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), byID(a.pod, b.pod)) })
		pods = pods[:MostPods]
		for i := range pods {
			pods[i] = all[i].pod
		}
	}
	slices.SortFunc(pods, byID)
	return pods
}

// hashOf is the same in every process: a look after a change of leader sees the same pods.
func hashOf(id string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id)) // it never fails
	return hash.Sum64()
}

// podsOf are the pods of what was counted by ID.
func podsOf(counted map[string]tally) []PodCalls {
	out := make([]PodCalls, 0, len(counted))
	for id, of := range counted {
		out = append(out, PodCalls{ID: id, Calls: wholeCalls(of.calls), Errors: wholeCalls(of.errors)})
	}
	return boundPods(out)
}
