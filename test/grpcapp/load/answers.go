package load

// Answers counts calls by who answered them, with success or an error. The empty name
// does not occur: what nobody answered is Unanswered.
type Answers struct {
	ByPod     map[string]int `json:"byPod"`
	ByVersion map[string]int `json:"byVersion"`
	// ByGroup is nil when no grouping is configured.
	ByGroup map[string]int `json:"byGroup,omitempty"`
	// FailedByPod, FailedByVersion and FailedByGroup are the failed ones among them.
	FailedByPod     map[string]int `json:"failedByPod,omitempty"`
	FailedByVersion map[string]int `json:"failedByVersion,omitempty"`
	FailedByGroup   map[string]int `json:"failedByGroup,omitempty"`
	// Unanswered is the number of failed calls that no pod answered.
	Unanswered int `json:"unanswered"`
}

// maxPodParties is how many pods are told apart before versions are shown instead.
const maxPodParties = 6

// Parties returns what is worth a column each, calls and the failed ones among them:
// groups when grouping is configured, else pods when they are few, else versions.
func (a Answers) Parties() (calls, failed map[string]int) {
	switch {
	case a.ByGroup != nil:
		return a.ByGroup, a.FailedByGroup
	case len(a.ByPod) <= maxPodParties:
		return a.ByPod, a.FailedByPod
	default:
		return a.ByVersion, a.FailedByVersion
	}
}

// countAnswers counts the calls, which are of the recording.
func countAnswers(recording recording, calls []record, group func(pod string) string) Answers {
	var answers Answers
	pods, versions := newTally(recording.pods), newTally(recording.versions)
	for _, call := range calls {
		pods.add(call.pod, call.failed())
		versions.add(call.version, call.failed())
		if call.failed() && recording.pods[call.pod] == "" {
			answers.Unanswered++
		}
	}
	same := func(name string) string { return name }
	answers.ByPod, answers.FailedByPod = pods.by(same)
	answers.ByVersion, answers.FailedByVersion = versions.by(same)
	if group != nil {
		answers.ByGroup, answers.FailedByGroup = pods.by(group)
	}
	return answers
}

// tally counts calls by the index of a name.
type tally struct {
	names         []string
	calls, failed []int
}

func newTally(names []string) tally {
	return tally{names: names, calls: make([]int, len(names)), failed: make([]int, len(names))}
}

func (t tally) add(index uint32, failed bool) {
	t.calls[index]++
	if failed {
		t.failed[index]++
	}
}

// by sums the counts by what a name is mapped to; the empty name is nobody's.
func (t tally) by(key func(name string) string) (calls, failed map[string]int) {
	calls, failed = map[string]int{}, map[string]int{}
	for index, name := range t.names {
		if name == "" || t.calls[index] == 0 {
			continue
		}
		calls[key(name)] += t.calls[index]
		if t.failed[index] > 0 {
			failed[key(name)] += t.failed[index]
		}
	}
	return calls, failed
}
