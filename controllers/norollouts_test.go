package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

func withoutRollouts(config *Config, _ *transport) { config.NoRollouts = true }

// TestWithoutRolloutsNoRightsToDeploymentsAreNeeded: everything else works, and the refusal says what to do.
func TestWithoutRolloutsNoRightsToDeploymentsAreNeeded(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	forbidden := w.mayDo(slices.DeleteFunc(generatedRules(t), func(rule rbacv1.PolicyRule) bool {
		return slices.Contains([]string{"apps", "policy", "flagger.app", "argoproj.io"}, rule.APIGroups[0])
	}))
	o := w.startOperator(withoutRollouts)
	d := w.deployment("primary-svc")
	w.create(d)
	plain, shipped := w.exposedService("plain"), w.exposedService("shipped", shipping(d.Name))
	w.create(plain, shipped)
	w.untilReady(plain)
	w.untilNotAccepted(shipped, v1alpha1.ReasonRolloutNotSupported, "rollouts.enabled")
	w.eventually("its route is made all the same", func() error { _, err := w.routeWeights(shipped); return err })
	w.delete(shipped)
	w.eventually("it is gone", func() error { return gone(w, shipped) })
	w.untilQuiet(o)
	o.stop()
	if len(forbidden.all) > 0 {
		t.Errorf("forbidden: %s", strings.Join(forbidden.all, ", "))
	}
}

// A Deployment that was held before rollouts were turned off cannot be given up: that is said, and keeps nobody.
func TestADeploymentThatCannotBeGivenUpIsNamed(t *testing.T) {
	w := newWorld(t).withDataPlane()
	w.withPods()
	first := w.startOperator()
	d := w.deployment("primary-svc")
	w.create(d)
	exs := w.exposedService("greeter", shipping(d.Name))
	w.create(exs)
	w.untilHeld(exs, d)
	first.stop()
	w.startOperator(withoutRollouts)
	w.untilNotAccepted(exs, v1alpha1.ReasonRolloutNotSupported, "rollouts.enabled")
	w.delete(exs)
	w.eventually("it is gone", func() error { return gone(w, exs) })
	w.eventually("the Deployment is named", func() error {
		notes := w.eventNotes(exs, kube.ReasonNotGivenUp)
		if len(notes) == 0 || !strings.Contains(notes[0], "Deployment "+w.namespace+"/primary-svc may stay paused") {
			return fmt.Errorf("there are %v", notes)
		}
		return nil
	})
}
