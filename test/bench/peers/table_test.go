package main

import (
	"strings"
	"testing"
)

func TestACellSumsUpRunsThatEndedInTheSameWay(t *testing.T) {
	bad := scenario{rate: 200, canary: 1, watch: 180e9}
	silent := scenario{watch: 240e9}
	for name, test := range map[string]struct {
		scenario scenario
		runs     []result
		want     string
	}{
		"nothing measured": {bad, nil, ""},
		"all rolled back, with median and range": {
			bad,
			[]result{{Outcome: rolledBack, Exposed: 4, Canary: 80, Failed: 80}, {Outcome: rolledBack, Exposed: 2, Canary: 40, Failed: 40}, {Outcome: rolledBack, Exposed: 3, Canary: 60, Failed: 60}},
			"rolled back: exposed for 3.0 (2.0–4.0) s, 60 (40–80) calls, 60 (40–80) calls failed",
		},
		"different ends": {
			bad,
			[]result{{Outcome: promoted, Seconds: 60, Failed: 7}, {Outcome: rolledBack, Exposed: 2, Canary: 40, Failed: 40}},
			"1 of 2 rolled back: exposed for 2.0 s, 40 calls, 40 calls failed; 1 of 2 promoted after 60 s, 7 calls failed",
		},
		"held": {silent, []result{{Outcome: held, Weight: 10}}, "held for all 240 s at 10 %"},
		"without calls only the time counts": {
			silent, []result{{Outcome: rolledBack, Seconds: 20}, {Outcome: rolledBack, Seconds: 22}}, "rolled back after 21 (20–22) s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cell(test.scenario, test.runs); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestATableHasNoRowOfWhatNobodyRan(t *testing.T) {
	r := results{
		Runs: 1, Contenders: []contenderResult{{Name: "argo", Title: "Argo Rollouts", Version: "1.2.3"}, {Name: "headgate", Title: "Headgate", Version: "dev"}},
		Results: []result{{Contender: "argo", Scenario: "healthy", Outcome: promoted, Seconds: 60}},
	}
	table := r.markdown()
	if !strings.Contains(table, "| healthy, 200 calls/s | promoted after 60 s, 0 calls failed | – |\n") {
		t.Errorf("the run is not in\n%s", table)
	}
	if strings.Contains(table, "no calls at all") || strings.Contains(table, "idle:") {
		t.Errorf("there are rows of what was not run in\n%s", table)
	}
}

func TestThePodsOfARolloutAreARowEach(t *testing.T) {
	r := results{
		Runs: 1, Contenders: []contenderResult{{Name: "argo", Title: "Argo Rollouts"}, {Name: "headgate", Title: "Headgate"}},
		Results: []result{
			{Contender: "argo", Scenario: "healthy", Outcome: rolledBack, Seconds: 60, Started: 9, PodSeconds: 900},
			{Contender: "headgate", Scenario: "healthy", Outcome: promoted, Seconds: 60, Started: 2, PodSeconds: 180},
		},
	}
	for _, want := range []string{
		"| healthy, 200 calls/s: pods started until then | – | 2 for the 2 of the new version |\n",
		"| healthy, 200 calls/s: pod-seconds until then | – | 180, 60 of them beside the 2 pods that there are at rest |\n",
	} {
		if table := r.markdown(); !strings.Contains(table, want) {
			t.Errorf("%s is not in\n%s", want, table)
		}
	}
}

func TestGoalsAreMetByEveryRunOrNotAtAll(t *testing.T) {
	good := result{Contender: "headgate", Scenario: "errors-100", Outcome: rolledBack, Exposed: 3, Failed: 60}
	bad := good
	bad.Failed = 300
	var out strings.Builder
	if r := (results{Results: []result{good, good}}); !r.judge(&out) {
		t.Errorf("two good runs: %s", out.String())
	}
	if r := (results{Results: []result{good, bad}}); r.judge(&out) {
		t.Errorf("a run with 300 failed calls meets its goal: %s", out.String())
	}
}
