package load

import "testing"

func TestGroupByDeployment(t *testing.T) {
	for pod, want := range map[string]string{
		"greeter-primary-5d4f8c7b9-x2xkz": "greeter-primary",
		"greeter-7bd9c6f6d4-2n4qb":        "greeter",
		"greeter-0":                       "greeter-0",
		"laptop":                          "laptop",
	} {
		if got := GroupByDeployment(pod); got != want {
			t.Errorf("%s is of %s, want %s", pod, got, want)
		}
	}
}

func TestGroupByPrefixTakesTheLongest(t *testing.T) {
	group := GroupByPrefix(map[string]string{"greeter-": "stable", "greeter-canary-": "canary"})
	for pod, want := range map[string]string{
		"greeter-5d4f": "stable", "greeter-canary-5d4f": "canary", "postgres-0": OtherGroup,
	} {
		if got := group(pod); got != want {
			t.Errorf("%s is of %s, want %s", pod, got, want)
		}
	}
}
