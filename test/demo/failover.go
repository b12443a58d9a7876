package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

func (d *demo) deploy(ctx context.Context) error {
	d.title("Deploy a sample gRPC service: 2 primaries and 1 backup, real pods")
	if err := d.MakeNamespace(ctx, d.exs.Namespace); err != nil {
		return err
	}
	start := time.Now()
	if err := d.Deploy(ctx, d.exs.Namespace, scene.App{Name: primary, Replicas: 2}, scene.App{Name: backup, Replicas: 1}); err != nil {
		return err
	}
	say("ready after %.1f s", time.Since(start).Seconds())
	return nil
}

func (d *demo) expose(ctx context.Context) error {
	d.title("Expose it: kubectl apply -f test/demo/exposedservice.yaml")
	for line := range strings.Lines(string(manifest)) {
		fmt.Print("     ", line)
	}
	start := time.Now()
	if err := d.Put(ctx, d.exs); err != nil {
		return err
	}
	if err := d.UntilExposed(ctx, d.exs); err != nil {
		return err
	}
	address, err := scene.Address(d.exs)
	if err != nil {
		return err
	}
	say("Ready after %.1f s, at %s, failover by %s to %s",
		time.Since(start).Seconds(), address, d.exs.Status.Failover.Mode, d.exs.Status.Failover.Fallback)
	config, err := scene.Load(d.exs, rate)
	if err != nil {
		return err
	}
	return scene.UntilAnswered(ctx, config)
}

func (d *demo) whoAnswers(ctx context.Context) error {
	title := d.title("Call it: %d calls a second through Envoy", rate)
	return d.calls(ctx, title, func(live *load.Run) error {
		if err := scene.Answered(ctx, live, primary, enough); err != nil {
			return err
		}
		d.table(live)
		return nil
	})
}

func (d *demo) table(live *load.Run) {
	say("%-32s %7s", "who answered", "calls")
	snapshot := live.Snapshot()
	for _, pod := range sorted(snapshot.ByPod) {
		say("%-32s %7d", pod, snapshot.ByPod[pod])
	}
}

func (d *demo) scaleOut(ctx context.Context) error {
	title := d.title("Scale the primaries to 4: kubectl scale deployment primary --replicas 4")
	return d.calls(ctx, title, func(live *load.Run) error {
		if err := d.steps(ctx, live, "scaled to 4", func() error { return d.Scale(ctx, d.exs.Namespace, primary, 4) }); err != nil {
			return err
		}
		if err := d.UntilReady(ctx, d.exs.Namespace, primary); err != nil {
			return err
		}
		if err := scene.Answered(ctx, live, primary, enough); err != nil {
			return err
		}
		d.table(live)
		if answered := len(live.Snapshot().ByPod); answered < 4 {
			return fmt.Errorf("%d pods answered, not all 4", answered)
		}
		return d.steps(ctx, live, "scaled to 2", func() error { return d.Scale(ctx, d.exs.Namespace, primary, 2) })
	})
}

// killPrimaries shows a whole failover: death, the backup, the hold, and the hand-back step by step.
func (d *demo) killPrimaries(ctx context.Context) error {
	if err := d.UntilReady(ctx, d.exs.Namespace, primary); err != nil {
		return err
	}
	title := d.title("Kill both primaries: kubectl delete pod -l app=primary --force --grace-period 0")
	err := d.calls(ctx, title, func(live *load.Run) error {
		killed := time.Now()
		if err := d.steps(ctx, live, "killed", func() error {
			killed = time.Now()
			return d.Kill(ctx, d.exs.Namespace, primary)
		}); err != nil {
			return err
		}
		if err := scene.Answered(ctx, live, backup, 1); err != nil {
			return err
		}
		if err := d.UntilReady(ctx, d.exs.Namespace, primary); err != nil {
			return err
		}
		live.Mark("primaries ready again, and held")
		return d.handedBack(ctx, live, killed)
	})
	d.history()
	return err
}

// handedBack waits until the primary has everything again, and marks each step.
func (d *demo) handedBack(ctx context.Context, live *load.Run, after time.Time) error {
	step, err := d.UntilDecided(ctx, d.exs, v1alpha1.DecisionHandingBack, after)
	if err != nil {
		return err
	}
	live.Mark("handing back")
	if _, err := d.UntilDecided(ctx, d.exs, v1alpha1.DecisionHandedBack, step.Time.Time); err != nil {
		return err
	}
	live.Mark("handed back")
	return scene.Answered(ctx, live, primary, enough)
}

func (d *demo) scaleToZero(ctx context.Context) error {
	title := d.title("Scale the primaries to 0 and back")
	return d.calls(ctx, title, func(live *load.Run) error {
		if err := d.steps(ctx, live, "scaled to 0", func() error { return d.Scale(ctx, d.exs.Namespace, primary, 0) }); err != nil {
			return err
		}
		if err := scene.Answered(ctx, live, backup, enough); err != nil {
			return err
		}
		live.Mark("scaled to 2")
		up := time.Now()
		if err := d.Scale(ctx, d.exs.Namespace, primary, 2); err != nil {
			return err
		}
		return d.handedBack(ctx, live, up)
	})
}

func (d *demo) lookIntoEnvoy(ctx context.Context) error {
	d.title("Look into Envoy: one cluster, two priorities")
	name, endpoints, err := d.EnvoyEndpoints(ctx, d.exs)
	if err != nil {
		return err
	}
	say("cluster %s", name)
	say("%-8s  %-22s  %-16s  %7s", "priority", "endpoint", "health", "calls")
	priorities := map[int]bool{}
	for _, endpoint := range endpoints {
		say("%-8d  %-22s  %-16s  %7d%s", endpoint.Priority, endpoint.Address, endpoint.Health, endpoint.Calls, remark(endpoint))
		priorities[endpoint.Priority] = true
	}
	if len(priorities) != 2 {
		return fmt.Errorf("the cluster has %d priorities, not 2", len(priorities))
	}
	return nil
}

func remark(endpoint scene.EnvoyEndpoint) string {
	switch {
	case endpoint.Health == "DRAINING":
		return "  a placeholder: never used, so that no backend is ever empty"
	case endpoint.Priority == 1 && !strings.HasPrefix(endpoint.Address, "10.244."):
		return "  the backup's Service"
	case endpoint.Priority == 1:
		return "  a pod of the backup"
	}
	return ""
}

func (d *demo) changeRule(ctx context.Context) error {
	title := d.title("Change a match rule: expose nothing but helloworld.Greeter/SayHello")
	err := d.calls(ctx, title, func(live *load.Run) error {
		return d.steps(ctx, live, "rule changed", func() error {
			if err := d.Change(ctx, d.exs, func(spec *v1alpha1.ExposedServiceSpec) {
				spec.Rules = []v1alpha1.Rule{{Matches: []v1alpha1.Match{
					{Service: ptr.To("helloworld.Greeter"), Method: ptr.To("SayHello")},
				}}}
			}); err != nil {
				return err
			}
			if err := d.UntilExposed(ctx, d.exs); err != nil {
				return err
			}
			return scene.Answered(ctx, live, primary, enough)
		})
	})
	if err != nil {
		return err
	}
	return d.refused(ctx)
}

// refused shows that what the rule does not name is no longer exposed.
func (d *demo) refused(ctx context.Context) error {
	config, err := scene.Load(d.exs, 50)
	if err != nil {
		return err
	}
	config.Method, config.Duration = load.Stream, time.Second
	live, err := load.Start(ctx, config)
	if err != nil {
		return err
	}
	report := live.Wait()
	say("helloworld.Greeter/%s now: %d of %d refused by the Gateway with %v", load.Stream, report.Failed, report.Total, codesOf(report))
	if report.Failed != report.Total {
		return fmt.Errorf("%d calls went through that the rule does not name", report.Total-report.Failed)
	}
	return d.Change(ctx, d.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Rules = nil })
}
