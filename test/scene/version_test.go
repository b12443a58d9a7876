package scene

import "testing"

func TestHashOf(t *testing.T) {
	for pod, want := range map[string]string{
		"primary-6d4cf56db6-x7k2p":        "6d4cf56db6",
		"primary-canary-6d4cf56db6-x7k2p": "",
		"primary-6d4cf56db6":              "",
		"primaryx-6d4cf56db6-x7k2p":       "",
		"backup-6d4cf56db6-x7k2p":         "",
		"":                                "",
	} {
		if have := HashOf(pod, "primary"); have != want {
			t.Errorf("%q: %q, want %q", pod, have, want)
		}
	}
}
