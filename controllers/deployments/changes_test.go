package deployments

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// ships is a shipping of app:2 in the place of app:1, of four pods, which is held and served.
func ships(t *testing.T, change func(*shipping), sets ...version) *shipping {
	t.Helper()
	d := newDeployment("svc", 4)
	d.Spec.Template = templateOf("app:2")
	s := &shipping{
		versions: &versions{deployment: d, sets: sets}, stable: revisionOf(t, "app:1"), template: revisionOf(t, "app:2"), held: true, served: true,
		canary: rollout.CanaryIntent{
			Present: true, Revision: revisionOf(t, "app:2"), Hash: "new", StableHash: "old", Replicas: 1,
		},
		revisionOf: map[string]string{},
	}
	for _, set := range sets {
		s.revisionOf[set.Name] = revisionOf(t, set.Spec.Template.Spec.Containers[0].Image)
	}
	change(s)
	surge, _ := workload.Bounds(s.deployment)
	for _, set := range sets {
		set.Annotations[workload.AnnotationDesired] = fmt.Sprint(s.replicas())
		set.Annotations[workload.AnnotationMost] = fmt.Sprint(s.replicas() + surge)
	}
	return s
}

func own(hash, image string, replicas int32, age int64) version {
	return version{ReplicaSet: setOf(newDeployment("svc", 4), hash, image, replicas, age)}
}

// marked is a canary as Headgate makes it, and released is one whose mark for Kubernetes is gone.
func marked(v version) version {
	v.Spec.Template.Annotations = map[string]string{workload.AnnotationCanaryOf: "greeter"}
	return released(v)
}

func released(v version) version {
	v.Annotations[workload.AnnotationCanaryOf] = "greeter"
	return v
}

// lent has the mark alone: it was there before it was a canary.
func lent(v version) version {
	v = marked(v)
	delete(v.Annotations, workload.AnnotationCanaryOf)
	return v
}

// standIn stands in for a canary, and is as old as nothing else.
func standIn(hash, image string, replicas int32) version {
	v := own(hash, image, replicas, 0)
	v.Name = "svc-00-" + hash
	v.Annotations[workload.AnnotationStandInOf] = "greeter"
	return v
}

// unseen has just been made, so that its controller has yet to see it.
func unseen(v version) version {
	v.Generation, v.Status.ObservedGeneration = 1, 0
	return v
}

func apart(v version) version {
	v.apart = true
	v.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindExposedService, Controller: ptr.To(true)}}
	return marked(v)
}

// ending has lost its size, and still has pods.
func ending(v version) version {
	v.Status.Replicas = 1
	return v
}

func said(changes []change) string {
	var out []string
	for _, c := range changes {
		text := string(c.kind)
		if c.set != nil {
			text += " " + workload.HashOf(c.set)
		}
		if c.size != nil {
			text += fmt.Sprintf(" to %d", *c.size)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestChanges(t *testing.T) {
	nothing := func(*shipping) {}
	absent := func(s *shipping) { s.canary = rollout.CanaryIntent{StableHash: "old"} }
	sized := func(n int32, also func(*shipping)) func(*shipping) {
		return func(s *shipping) {
			s.deployment.Spec.Replicas = &n
			also(s)
		}
	}
	alone := func(s *shipping) { s.canary.Apart = true }
	for name, c := range map[string]struct {
		change func(*shipping)
		sets   []version
		want   string
	}{
		"something stands in":              {nothing, []version{own("old", "app:1", 4, 1)}, "stand in"},
		"the canary is made":               {nothing, []version{own("old", "app:1", 4, 1), standIn("new", "app:2", 0)}, "create"},
		"a stand-in that nobody has seen":  {nothing, []version{own("old", "app:1", 4, 1), unseen(standIn("new", "app:2", 0))}, "create"},
		"it grows beside its stand-in":     {func(s *shipping) { s.canary.Replicas = 2 }, []version{own("old", "app:1", 4, 1), standIn("new", "app:2", 0), released(own("new", "app:2", 1, 2))}, "scale new to 2"},
		"rolled back beside its stand-in":  {absent, []version{own("old", "app:1", 4, 1), standIn("new", "app:2", 0), released(own("new", "app:2", 1, 2))}, "scale new to 0"},
		"its stand-in goes last":           {absent, []version{own("old", "app:1", 4, 1), standIn("new", "app:2", 0), ending(released(own("new", "app:2", 0, 2)))}, ""},
		"both go":                          {absent, []version{own("old", "app:1", 4, 1), standIn("new", "app:2", 0)}, "delete new"},
		"released without its stand-in":    {func(s *shipping) { s.held = false }, []version{own("old", "app:1", 2, 1), standIn("new", "app:2", 0), released(own("new", "app:2", 3, 2))}, "delete new"},
		"all pods went to the stand-in":    {nothing, []version{standIn("new", "app:2", 4)}, "mark new"},
		"and stable was deleted":           {nothing, []version{marked(standIn("new", "app:2", 4))}, "restore"},
		"no pods: the stand-in goes":       {sized(0, absent), []version{own("old", "app:1", 0, 1), standIn("new", "app:2", 0)}, "delete new"},
		"the stand-in got the pods":        {nothing, []version{own("old", "app:1", 3, 1), standIn("new", "app:2", 2), released(own("new", "app:2", 0, 2))}, "delete new, mark new"},
		"a stand-in that is apart goes":    {nothing, []version{own("old", "app:1", 4, 1), apart(standIn("new", "app:2", 0))}, "delete new"},
		"not before stable excludes it":    {func(s *shipping) { s.served = false }, []version{own("old", "app:1", 4, 1)}, ""},
		"others serve until it is decided": {func(s *shipping) { absent(s); s.canary.StableHash, s.served = "", false }, []version{own("old", "app:1", 1, 1), marked(own("new", "app:2", 4, 2))}, ""},
		"not of another template":          {func(s *shipping) { s.template = "another" }, []version{own("old", "app:1", 4, 1)}, ""},
		"not without its configuration":    {func(s *shipping) { s.config = "c" }, []version{own("old", "app:1", 4, 1)}, ""},
		"not while Kubernetes rolls out":   {func(s *shipping) { s.deployment.Spec.Paused = false }, []version{own("old", "app:1", 4, 1)}, ""},
		"not while stable has no pods":     {nothing, []version{own("old", "app:1", 0, 1)}, "scale old to 4"},
		"it gets its first pod":            {nothing, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 0, 2))}, "scale new to 1"},
		"none before stable excludes it":   {func(s *shipping) { s.served = false }, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 0, 2))}, ""},
		"it is as it is to be":             {nothing, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 1, 2))}, ""},
		"it keeps what it has, unserved":   {func(s *shipping) { s.served, s.canary.Replicas = false, 3 }, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 1, 2))}, ""},
		"not before the controller saw":    {func(s *shipping) { s.deployment.Generation = 9 }, []version{own("old", "app:1", 4, 1), own("new", "app:2", 0, 2)}, ""},
		"it is to be released":             {func(s *shipping) { s.held = false }, []version{own("old", "app:1", 1, 1), marked(own("new", "app:2", 4, 2))}, "unmark new"},
		"it is released":                   {func(s *shipping) { s.held, s.deployment.Spec.Paused = false, false }, []version{own("old", "app:1", 1, 1), released(own("new", "app:2", 4, 2))}, ""},
		"somebody released it":             {func(s *shipping) { s.deployment.Spec.Paused = false }, []version{own("old", "app:1", 1, 1), marked(own("new", "app:2", 4, 2))}, "unmark new"},
		"it is taken back":                 {absent, []version{own("old", "app:1", 1, 1), released(own("new", "app:2", 4, 2))}, "mark new"},
		"it was there before":              {nothing, []version{own("old", "app:1", 4, 2), own("new", "app:2", 1, 1)}, "mark new"},
		"it was there before, and goes":    {absent, []version{own("old", "app:1", 4, 2), lent(own("new", "app:2", 0, 1))}, "unmark new"},
		"no pods: it was there before":     {sized(0, absent), []version{own("old", "app:1", 0, 2), lent(own("new", "app:2", 0, 1))}, ""},
		"it was there before, and ends":    {absent, []version{own("old", "app:1", 4, 2), ending(lent(own("new", "app:2", 0, 1)))}, ""},
		"rolled back":                      {absent, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 1, 2))}, "scale new to 0"},
		"its pods end":                     {absent, []version{own("old", "app:1", 4, 1), ending(marked(own("new", "app:2", 0, 2)))}, ""},
		"they have ended":                  {absent, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 0, 2))}, "delete new"},
		"what was there before stays":      {absent, []version{own("old", "app:1", 4, 1), own("new", "app:2", 0, 2)}, ""},
		"promoted":                         {func(s *shipping) { s.canary.StableHash, s.canary.Present, s.held = "new", false, false }, []version{own("old", "app:1", 0, 1), marked(own("new", "app:2", 4, 2))}, "promote new"},
		"somebody resumed it":              {func(s *shipping) { absent(s); s.deployment.Spec.Paused = false }, []version{own("old", "app:1", 4, 1), marked(own("new", "app:2", 0, 2))}, "delete new"},
		"one that came in between":         {nothing, []version{own("old", "app:1", 2, 1), own("other", "app:0", 2, 3), marked(own("new", "app:2", 1, 2))}, "scale other to 0"},
		"one pod: made apart":              {sized(1, alone), []version{own("old", "app:1", 1, 1)}, "create"},
		"one pod: apart it is sized":       {sized(1, alone), []version{own("old", "app:1", 1, 1), apart(own("new", "app:2", 0, 2))}, "scale new to 1"},
		"one pod: not before it is apart":  {sized(1, alone), []version{own("old", "app:1", 1, 1), marked(own("new", "app:2", 1, 2))}, "take new"},
		"one pod: handed over":             {sized(1, func(s *shipping) { s.held = false }), []version{own("old", "app:1", 1, 1), apart(own("new", "app:2", 1, 2))}, "hand new"},
		"one pod: rolled back":             {sized(1, absent), []version{own("old", "app:1", 1, 1), apart(own("new", "app:2", 1, 2))}, "scale new to 0"},
		"one pod: rolled back, ended":      {sized(1, absent), []version{own("old", "app:1", 1, 1), apart(own("new", "app:2", 0, 2))}, "delete new"},
		"one pod: an untested one":         {sized(1, absent), []version{own("old", "app:1", 0, 1), own("new", "app:2", 1, 2)}, "take new"},
		"several pods again":               {nothing, []version{own("old", "app:1", 4, 1), apart(own("new", "app:2", 1, 2))}, "hand new"},
		"not before stable has its own":    {nothing, []version{own("old", "app:1", 1, 1), apart(own("new", "app:2", 1, 2))}, ""},
		"not with more than its share":     {nothing, []version{own("old", "app:1", 4, 1), apart(own("new", "app:2", 2, 2))}, "scale new to 1"},
		"of three pods one changes sides":  {sized(2, nothing), []version{own("old", "app:1", 1, 1), marked(own("new", "app:2", 2, 2))}, "take new to 1"},
		"no pods: the canary goes":         {sized(0, absent), []version{own("old", "app:1", 0, 1), marked(own("new", "app:2", 0, 2))}, "delete new"},
		"no pods: whoever has made it":     {sized(0, absent), []version{own("old", "app:1", 0, 1), own("new", "app:2", 0, 2)}, "delete new"},
		"no pods: stable is the newest":    {sized(0, absent), []version{own("old", "app:1", 0, 2), own("older", "app:0", 0, 1)}, ""},
		"no pods: stable becomes newest":   {sized(0, absent), []version{own("old", "app:1", 0, 1), own("older", "app:0", 0, 2)}, "renew old"},
		"stable was deleted":               {absent, []version{marked(own("new", "app:2", 0, 2))}, "delete new, restore"},
		"at rest nothing is made newest":   {sized(0, func(s *shipping) { absent(s); s.held = false }), []version{own("old", "app:1", 0, 1), own("older", "app:0", 0, 2)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := said(ships(t, c.change, c.sets...).changes()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Without a history Kubernetes deletes the stable ReplicaSet as soon as it has no pods, however often it is made.
func TestStableIsRestoredWhenPodsAreAskedFor(t *testing.T) {
	for replicas, want := range map[int32]string{0: "", 4: "restore"} {
		s := ships(t, func(s *shipping) {
			s.deployment.Spec.RevisionHistoryLimit, s.deployment.Spec.Replicas = ptr.To[int32](0), &replicas
			s.canary = rollout.CanaryIntent{}
		})
		if got := said(s.changes()); got != want {
			t.Errorf("of %d: %q, want %q", replicas, got, want)
		}
	}
}

// Kubernetes does not know a marked version for the new one. Released like that, it would start all pods of it again.
func TestWhatIsReleasedIsKnownToKubernetes(t *testing.T) {
	number := func(v version, n int) version {
		v.Annotations["deployment.kubernetes.io/revision"] = fmt.Sprint(n)
		return v
	}
	for name, c := range map[string]struct {
		canary  version
		taken   bool
		unmarks string
	}{
		"marked":                       {marked(own("new", "app:2", 4, 2)), false, "promote new"},
		"marked, and was there before": {lent(number(own("new", "app:2", 4, 2), 1)), false, "unmark new"},
		"a stand-in":                   {unseen(standIn("new", "app:2", 0)), false, "delete new"},
		"not seen yet":                 {own("new", "app:2", 4, 2), false, ""},
		"with its old number":          {number(own("new", "app:2", 4, 2), 1), false, ""},
		"taken":                        {number(own("new", "app:2", 4, 2), 3), true, ""},
		"without pods":                 {own("new", "app:2", 0, 2), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := &versions{deployment: newDeployment("svc", 4), sets: []version{number(own("old", "app:1", 1, 1), 2), c.canary}}
			v.deployment.Spec.Template = templateOf("app:2")
			if got := said(v.unmarks()); got != c.unmarks || v.taken() != c.taken {
				t.Errorf("%q, %t", got, v.taken())
			}
		})
	}
}

func TestHolding(t *testing.T) {
	owns := func(paused, byUs bool, mark string) *appsv1.Deployment {
		d := newDeployment("svc", 4)
		d.Spec.Paused = paused
		if mark != "" {
			d.Labels = map[string]string{v1alpha1.LabelRollout: mark}
		}
		if byUs {
			d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager, FieldsV1: metav1.NewFieldsV1(fieldPaused)}}
		}
		return d
	}
	for name, c := range map[string]struct {
		holding
		// want is the pause that is applied; nil: nothing is applied. exact: only to the Deployment in this version.
		want  *bool
		exact bool
	}{
		"hold":                                {holding{deployment: owns(false, false, "greeter"), intent: rollout.WorkloadHeld}, ptr.To(true), false},
		"it is held":                          {holding{deployment: owns(true, true, "greeter"), intent: rollout.WorkloadHeld}, nil, false},
		"what the policy holds is taken over": {holding{deployment: owns(true, false, "greeter"), intent: rollout.WorkloadHeld}, ptr.To(true), false},
		"held by a version before this one":   {holding{deployment: owns(true, true, ""), intent: rollout.WorkloadHeld}, ptr.To(true), false},
		"its configuration changes":           {holding{deployment: owns(true, true, "greeter"), intent: rollout.WorkloadHeld, config: "c"}, ptr.To(true), false},
		"release":                             {holding{deployment: owns(true, true, "greeter"), intent: rollout.WorkloadReleased, releasable: true}, ptr.To(false), true},
		"it is released":                      {holding{deployment: owns(false, true, "greeter"), intent: rollout.WorkloadReleased, releasable: true}, nil, false},
		"another template is not released":    {holding{deployment: owns(true, false, "greeter"), intent: rollout.WorkloadReleased}, ptr.To(true), false},
		"nor is it left to roll out":          {holding{deployment: owns(false, true, "greeter"), intent: rollout.WorkloadReleased}, ptr.To(true), false},
		"rest, guarded":                       {holding{deployment: owns(true, true, "greeter"), intent: rollout.WorkloadAtRest, guard: guardOn, releasable: true}, ptr.To(false), true},
		"rest, guarded, as it is to be":       {holding{deployment: owns(false, true, "greeter"), intent: rollout.WorkloadAtRest, guard: guardOn, releasable: true}, nil, false},
		"rest, guarded, another template":     {holding{deployment: owns(true, true, "greeter"), intent: rollout.WorkloadAtRest, guard: guardOn}, nil, false},
		"rest, not guarded":                   {holding{deployment: owns(false, false, "greeter"), intent: rollout.WorkloadAtRest, guard: guardOff}, ptr.To(true), false},
		"rest, not known, not marked":         {holding{deployment: owns(false, false, ""), intent: rollout.WorkloadAtRest}, ptr.To(false), true},
		"rest, not known":                     {holding{deployment: owns(false, false, "greeter"), intent: rollout.WorkloadAtRest}, nil, false},
		"too little is known":                 {holding{deployment: owns(false, false, ""), intent: rollout.WorkloadAsIs}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.mark = "greeter"
			got := c.owned()
			switch {
			case (got == nil) != (c.want == nil):
				t.Fatalf("%+v", got)
			case got == nil:
				return
			}
			if *got.Paused != *c.want || (got.Version != "") != c.exact || got.Mark != "greeter" {
				t.Errorf("%+v, paused %t", got, *got.Paused)
			}
		})
	}
}

// The policy holds a change of the pod template as long as the Deployment has the mark: that of giving up its annotation, too.
func TestTheMarkGoesBeforeTheTemplateChanges(t *testing.T) {
	d := newDeployment("svc", 4)
	d.Labels = map[string]string{v1alpha1.LabelRollout: "greeter"}
	d.Spec.Template.Annotations = map[string]string{workload.AnnotationConfig: "c"}
	for name, keep := range map[string]bool{"released": false, "left held": true} {
		t.Run(name, func(t *testing.T) {
			all := givingUp(d, keep)
			changes := 0
			for i, next := range all {
				if next.owned.Mark != "" {
					t.Errorf("%d: it keeps the mark: %+v", i, next)
				}
				if next.manager == FieldManager && next.owned.Config == "" {
					changes++
				}
			}
			if last := all[len(all)-1]; changes != 1 || last.owned != (workload.Owned{}) || last.manager != FieldManager {
				t.Errorf("%+v", all)
			}
			if keep && (all[0].manager != leftManager || !*all[0].owned.Paused) {
				t.Errorf("nobody pauses it meanwhile: %+v", all)
			}
			// Nobody owns what the policy has set.
			if !keep && (all[0].owned.Paused == nil || *all[0].owned.Paused) {
				t.Errorf("it stays paused: %+v", all)
			}
		})
	}
}
