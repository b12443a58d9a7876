package main

import "testing"

func TestCheckImageName(t *testing.T) {
	for name, valid := range map[string]bool{
		"app:dev":                       true,
		"docker.io/example/app:v1":      true,
		"localhost:5000/app:1":          true,
		"app":                           false,
		"localhost:5000/app":            false,
		"app@sha256:0123":               false,
		"docker.io/app:1@sha256:012345": false,
	} {
		if err := checkImageName(name); (err == nil) != valid {
			t.Errorf("%q: got %v, want it valid: %v", name, err, valid)
		}
	}
}
