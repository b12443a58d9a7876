package main

import (
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	for name, test := range map[string]struct{ events, want string }{
		"nothing": {
			events: ``,
			want:   "0 passed, 0 failed, 0 skipped\n",
		},
		"a pass, a failure and a skip with its reason": {
			events: `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestC","Output":"=== RUN   TestC\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:7: no API server\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}`,
			want: "skipped: p TestC: no API server\nfailed: p TestB\n1 passed, 1 failed, 1 skipped\n",
		},
		"a test with subtests counts as its subtests": {
			events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two/three"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}`,
			want: "2 passed, 0 failed, 0 skipped\n",
		},
		"a failed subtest is counted once": {
			events: `
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			want: "failed: p TestA/one\n1 passed, 1 failed, 0 skipped\n",
		},
		"a test that fails after its subtests passed": {
			events: `
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"fail","Package":"p","Test":"TestA"}`,
			want: "failed: p TestA\n1 passed, 1 failed, 0 skipped\n",
		},
		"a package that cannot be built": {
			events: `
{"ImportPath":"p","Action":"build-output","Output":"broken"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			want: "failed: p\n  FAIL\tp [build failed]\n0 passed, 1 failed, 0 skipped\n",
		},
		"a failure with its words": {
			events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: there is still:\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"        a Gateway\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestA"}`,
			want: "failed: p TestA\n      a_test.go:7: there is still:\n          a Gateway\n0 passed, 1 failed, 0 skipped\n",
		},
		"a test that never ended": {
			events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			want: "failed: p TestA\n0 passed, 1 failed, 0 skipped\n",
		},
		"a package without tests": {
			events: `{"Action":"skip","Package":"p"}`,
			want:   "0 passed, 0 failed, 0 skipped\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := decode(strings.NewReader(test.events))
			if err != nil {
				t.Fatal(err)
			}
			if got := count([]run{results}).String(); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestCountAddsUpRuns(t *testing.T) {
	results, err := decode(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestA"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := count([]run{results, results}).String(), "2 passed, 0 failed, 0 skipped\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeRefusesWhatIsNoTestRun(t *testing.T) {
	if _, err := decode(strings.NewReader("ok  \tp\t0.1s\n")); err == nil {
		t.Error("no error")
	}
}
