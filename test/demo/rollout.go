package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

//go:embed rollout.yaml
var rollout []byte

const (
	// rolloutPatience is how long a whole rollout may take.
	rolloutPatience = 6 * time.Minute
	// badShare of the calls to the bad version fail.
	badShare = "0.05"
)

var errUnderWay = errors.New("the rollout is under way")

func (d *demo) askForRollouts(ctx context.Context) error {
	d.title("Ask for rollouts: kubectl patch exs %s --type merge --patch-file test/demo/rollout.yaml", d.exs.Name)
	for line := range strings.Lines(string(rollout)) {
		fmt.Print("     ", line)
	}
	var patch struct {
		Spec struct{ Rollout v1alpha1.Rollout }
	}
	if err := yaml.UnmarshalStrict(rollout, &patch); err != nil {
		return err
	}
	if err := d.Change(ctx, d.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Rollout = &patch.Spec.Rollout }); err != nil {
		return err
	}
	if err := d.untilRollout(ctx, "the stable version to be known", nil, func(status *v1alpha1.RolloutStatus) bool { return status.Stable != "" }); err != nil {
		return err
	}
	say("Deployment %s stays yours; a changed template is held back, and goes through the steps", primary)
	return nil
}

// ship changes the template of the primary's Deployment.
func (d *demo) ship(ctx context.Context, version string, flags ...string) error {
	container := map[string]any{
		"name": "greeter", "args": flags,
		"env": []any{map[string]any{"name": "VERSION", "value": version}},
	}
	patch, err := yaml.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{container}}}}})
	if err != nil {
		return err
	}
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return err
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.exs.Namespace, Name: primary}}
	return d.Patch(ctx, deployment, client.RawPatch("application/strategic-merge-patch+json", patch))
}

func (d *demo) shipGood(ctx context.Context) error {
	title := d.title("Ship a good version: kubectl set env deployment/%s VERSION=2", primary)
	return d.calls(ctx, title, func(live *load.Run) error {
		began := time.Now()
		if err := d.steps(ctx, live, "version 2", func() error { began = time.Now(); return d.ship(ctx, "2") }); err != nil {
			return err
		}
		err := d.untilRollout(ctx, "version 2 to be everywhere", live, func(status *v1alpha1.RolloutStatus) bool {
			return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
		})
		if err != nil {
			return err
		}
		say("shipped after %.1f s, and nobody did anything", time.Since(began).Seconds())
		return scene.Answered(ctx, live, primary, rate)
	})
}

func (d *demo) shipBad(ctx context.Context) error {
	title := d.title("Ship a bad version: kubectl set env deployment/%s VERSION=3, and %s of its calls fail", primary, "5 %")
	var report load.Report
	err := d.calls(ctx, title, func(live *load.Run) error {
		if err := d.steps(ctx, live, "version 3", func() error { return d.ship(ctx, "3", "-error-share", badShare, "-error-code", "INTERNAL") }); err != nil {
			return err
		}
		if err := d.untilRollout(ctx, "the rollback", live, func(status *v1alpha1.RolloutStatus) bool { return status.Failed != nil }); err != nil {
			return err
		}
		err := scene.Answered(ctx, live, primary, rate)
		report = live.Stop()
		return err
	})
	if err != nil {
		return err
	}
	calls, failed := d.ofCanary(report)
	say("the bad version had %d calls in all, and %d of them failed: its calls were taken away whenever it looked worse", calls, failed)
	d.excuse(failed, "were answered by the bad version")
	say("kubectl get exs %s:  ROLLOUT  %s", d.exs.Name, d.exs.Status.Rollout.Progress)
	say("the template is put back, and it is forgotten:")
	return d.putBack(ctx)
}

// noteCanary keeps the hash of the version that is shipped. When that is over, what was before may still have pods that end.
func (d *demo) noteCanary() {
	status, traffic := d.exs.Status.Rollout, d.exs.Status.Traffic
	if status != nil && traffic != nil && status.Phase != v1alpha1.RolloutIdle && traffic.CanaryHash != "" {
		d.canary = traffic.CanaryHash
	}
}

// ofCanary counts the calls that the last canary answered.
func (d *demo) ofCanary(report load.Report) (calls, failed int) {
	for call := range report.Calls() {
		if d.canary == "" || scene.HashOf(call.Pod, primary) != d.canary {
			continue
		}
		calls++
		if call.Failed() {
			failed++
		}
	}
	return calls, failed
}

// putBack gives the Deployment the version again that runs.
func (d *demo) putBack(ctx context.Context) error {
	if err := d.ship(ctx, "2"); err != nil {
		return err
	}
	return d.untilRollout(ctx, "the end of the rollback", nil, func(status *v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Failed == nil
	})
}

// untilRollout waits until the rollout is as it is to be, prints what is decided meanwhile, and marks it in the
// timeline of the calls, if there are any.
func (d *demo) untilRollout(ctx context.Context, what string, live *load.Run, is func(*v1alpha1.RolloutStatus) bool) error {
	start := time.Now()
	var told metav1.MicroTime
	if n := len(d.exs.Status.History); n > 0 {
		told = d.exs.Status.History[n-1].Time
	}
	return scene.UntilWithin(ctx, rolloutPatience, 50*time.Millisecond, what, func(ctx context.Context) error {
		if err := d.Get(ctx, client.ObjectKeyFromObject(d.exs), d.exs); err != nil {
			return err
		}
		d.noteCanary()
		for _, decision := range d.exs.Status.History {
			if !decision.Time.After(told.Time) {
				continue
			}
			told = decision.Time
			say("%5.1f s  %s", max(0, decision.Time.Sub(start)).Seconds(), decision.Message)
			if live != nil {
				live.Mark(string(decision.Reason))
			}
		}
		if status := d.exs.Status.Rollout; status == nil || !is(status) {
			return fmt.Errorf("%w: %s", errUnderWay, strings.Join(scene.History(d.exs), "; "))
		}
		return nil
	})
}
