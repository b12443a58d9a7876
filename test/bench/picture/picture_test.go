package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

// What the picture is to show is true of what is played: a good version is promoted, its pods are started once, no pod ever has more
// calls than in a rolling update, and the Deployment is held from the write that changes it until it is released.
func TestThePictureShowsAGoodRollout(t *testing.T) {
	moments, err := play()
	if err != nil {
		t.Fatal(err)
	}
	started, before := 0, moments[0]
	for _, m := range moments {
		if all := m.old.ready + m.old.starting + m.young.ready + m.young.starting; all > replicas+surge {
			t.Errorf("%s: %d pods", m.at, all)
		}
		if m.old.ready+m.young.ready < replicas-unavailable {
			t.Errorf("%s: %d pods are ready", m.at, m.old.ready+m.young.ready)
		}
		for side, share := range map[pods]float64{m.young: m.weight, m.old: 1 - m.weight} {
			if fair := 1.0 / (replicas - unavailable); share > fair*float64(side.ready)+1e-9 {
				t.Errorf("%s: %d pods have %.1f %% of the calls", m.at, side.ready, 100*share)
			}
		}
		if want := m.at >= 0 && m.phase != v1alpha1.RolloutReleasing && m.young.ready < replicas; m.held != want {
			t.Errorf("%s, %s: held is %v", m.at, m.phase, m.held)
		}
		started += max(0, m.young.ready+m.young.starting-before.young.ready-before.young.starting)
		before = m
	}
	if last := moments[len(moments)-1]; last.old != (pods{}) || last.young != (pods{ready: replicas}) || last.phase != v1alpha1.RolloutIdle {
		t.Errorf("it ends with %+v", last)
	}
	if started != replicas {
		t.Errorf("%d pods of the new version were started, want each once", started)
	}
}

// A browser shows nothing of a picture that is not well-formed.
func TestThePictureIsWellFormed(t *testing.T) {
	moments, err := play()
	if err != nil {
		t.Fatal(err)
	}
	picture, texts := xml.NewDecoder(strings.NewReader(draw(moments))), map[string]int{}
	for {
		token, err := picture.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[string(text)]++
		}
	}
	for _, want := range []string{"Preparing", "Stepping, step 1", "Stepping, step 2", "Promoting", "Releasing", "evidence for"} {
		if texts[want] == 0 {
			t.Errorf("nothing says %q", want)
		}
	}
}
