package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

//go:embed exposedservice.yaml
var manifest []byte

const (
	primary = "primary"
	backup  = "backup"
	// rate is in calls per second.
	rate = 500
	// enough calls to see who answers.
	enough = 1000
)

var errFailedCalls = errors.New("calls failed that should not have")

// demo is one showing.
type demo struct {
	*scene.Cluster
	exs     *v1alpha1.ExposedService
	step    int
	results []result
	// canary is the pod-template-hash of the version that is shipped, or was last.
	canary string
	// live are the calls of one's own clients, by what they are.
	live map[string]*load.Run
}

// result is what became of the calls of one step.
type result struct {
	title         string
	failed, total int
	gap           time.Duration
	// excused of the failed calls are nobody's fault but that of which why tells.
	excused int
	why     string
}

func play(ctx context.Context, class, inside string) error {
	cluster, err := scene.Connect()
	if err != nil {
		return err
	}
	d := &demo{Cluster: cluster, exs: &v1alpha1.ExposedService{}}
	if err := yaml.UnmarshalStrict(manifest, d.exs); err != nil {
		return err
	}
	d.exs.Spec.Gateway.ClassName = &class
	if err := d.clear(ctx); err != nil {
		return err
	}
	for _, act := range []act{
		{"Act one: primaries come and go", []scenery{
			d.deploy, d.expose, d.whoAnswers, d.scaleOut, d.killPrimaries, d.scaleToZero, d.lookIntoEnvoy, d.changeRule,
		}},
		{"Act two: new versions ship themselves", []scenery{d.askForRollouts, d.shipGood, d.shipBad}},
		{"Act three: clients of your own, without the Gateway", []scenery{d.serveOverXDS, d.connectClients, d.killUnderOwnClients}},
	} {
		fmt.Printf("\n\033[1;7m %s \033[0m\n", act.name)
		for _, scene := range act.scenes {
			if err := scene(ctx); err != nil {
				return err
			}
		}
	}
	return d.sumUp(inside)
}

// act is a part of the showing.
type act struct {
	name   string
	scenes []scenery
}

// scenery is one step of an act.
type scenery func(context.Context) error

// clear removes what an earlier showing has left, so that Deployments are nobody's but the demo's.
func (d *demo) clear(ctx context.Context) error {
	if err := d.RemoveOwnEnvoy(ctx, d.exs); err != nil {
		return err
	}
	left := &v1alpha1.ExposedService{}
	left.Namespace, left.Name = d.exs.Namespace, d.exs.Name
	if err := client.IgnoreNotFound(d.Delete(ctx, left)); err != nil {
		return err
	}
	return scene.Until(ctx, "the end of an earlier showing", func(ctx context.Context) error {
		switch err := d.Get(ctx, client.ObjectKeyFromObject(left), left); {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errLeft
	})
}

var errLeft = errors.New("its ExposedService is still there")

func (d *demo) title(format string, args ...any) string {
	d.step++
	title := fmt.Sprintf(format, args...)
	fmt.Printf("\n\033[1m%d. %s\033[0m\n", d.step, title)
	return title
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// calls makes live calls while something happens, prints who answered when, and keeps the result.
func (d *demo) calls(ctx context.Context, title string, happens func(*load.Run) error) error {
	config, err := scene.Load(d.exs, rate)
	if err != nil {
		return err
	}
	live, err := load.Start(ctx, config)
	if err != nil {
		return err
	}
	err = happens(live)
	d.report(title, live.Stop())
	return err
}

// report prints who answered when, and keeps the result.
func (d *demo) report(title string, report load.Report) {
	// A line a second; of a rollout, which takes a minute, every three.
	interval := time.Second
	if report.End.Sub(report.Start) > 30*time.Second {
		interval = 3 * time.Second
	}
	for line := range strings.Lines(report.Timeline(interval)) {
		fmt.Print("   ", line)
	}
	say("failed: %d of %d, longest time without an answer: %d ms", report.Failed, report.Total, report.LongestGap.Duration().Milliseconds())
	d.results = append(d.results, result{title: title, failed: report.Failed, total: report.Total, gap: report.LongestGap.Duration()})
}

// excuse says that so many of the calls that failed last were nobody's fault but that of which why tells.
func (d *demo) excuse(calls int, why string) {
	last := &d.results[len(d.results)-1]
	last.excused, last.why = calls, why
}

// steps lets calls flow, then does something that the timeline marks.
func (d *demo) steps(ctx context.Context, live *load.Run, mark string, do func() error) error {
	if err := scene.Answered(ctx, live, primary, rate); err != nil {
		return err
	}
	live.Mark(mark)
	return do()
}

// history prints what was decided, and why.
func (d *demo) history() {
	say("what Headgate decided (kubectl describe exs %s):", d.exs.Name)
	for _, line := range scene.History(d.exs) {
		say("  %s", line)
	}
}
