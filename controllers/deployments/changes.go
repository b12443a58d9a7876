package deployments

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// shipping is what is to become of the ReplicaSets of a Deployment.
type shipping struct {
	*versions

	// stable is the stable revision, and config the annotation that the pod template is to have before a canary is made of it.
	stable, config string
	canary         rollout.CanaryIntent
	// held: the Deployment is to be held, so that the sizes are Headgate's.
	held bool
	// ends: Headgate gives the Deployment up, and decides nothing more about it.
	ends bool
	// served: the Service of the stable side selects by its hash, so that a canary's pods get no calls of its.
	served bool
	// revisionOf are those of the ReplicaSets, by their names, and template that of the Deployment's pod template.
	revisionOf map[string]string
	template   string
}

// changeKind is what is done to a ReplicaSet.
type changeKind string

const (
	// changeCreate makes it, of the Deployment's pod template.
	changeCreate changeKind = "create"
	// changeStandIn makes what Kubernetes takes for the new one of the Deployment in the canary's place.
	changeStandIn changeKind = "stand in"
	// changeRestore makes it again from the copy that was kept.
	changeRestore changeKind = "restore"
	// changeRenew deletes it, to be restored: so it becomes the newest.
	changeRenew changeKind = "renew"
	// changeTake makes it the ExposedService's, so that the Deployment leaves it alone, with another size if that is said.
	changeTake changeKind = "take"
	// changeHand gives it to the Deployment.
	changeHand changeKind = "hand"
	// changeMark keeps Kubernetes from taking it for the new one of the Deployment, and changeUnmark no longer does.
	changeMark   changeKind = "mark"
	changeUnmark changeKind = "unmark"
	// changePromote takes away all that says that it was a canary.
	changePromote changeKind = "promote"
	changeScale   changeKind = "scale"
	changeDelete  changeKind = "delete"
)

// change is one write. Each leads to a state from which the next run goes on, whatever comes between.
type change struct {
	kind changeKind
	set  *appsv1.ReplicaSet
	// size is how many pods it is to have; nil: as many as it has.
	size *int32
}

// changes are the next ones.
func (s *shipping) changes() []change {
	stable, canary := s.stableSet(), s.canarySet()
	var out []change
	// What goes makes room for what comes, in names and in quotas.
	for i := range s.sets {
		if set := &s.sets[i]; set != stable && set != canary {
			out = append(out, s.leftover(set, stable)...)
		}
	}
	out = append(out, s.stableChanges(stable)...)
	out = append(out, s.canaryChanges(stable, canary)...)
	if !slices.ContainsFunc(out, isOfOwner) {
		out = append(out, s.marks(stable, canary)...)
	}
	if slices.ContainsFunc(out, isOfOwner) {
		return out // Whose the pods are changes before their number.
	}
	if size := s.size(stable, canary); size != nil {
		out = append(out, *size)
	}
	return out
}

// isOfOwner: it decides who has a say in how many pods there are.
func isOfOwner(c change) bool {
	return c.kind == changeTake || c.kind == changeHand || c.kind == changeMark
}

// stableSet is that by which the stable side's Service selects, or the one of the revision that has most pods; nil: there is none.
func (s *shipping) stableSet() *version {
	if set := s.byHash(s.canary.StableHash); set != nil {
		return set
	}
	return s.pick(s.revisionOf, s.stable, "")
}

// canarySet is the one that is to be; nil: none is, or it is not there.
func (s *shipping) canarySet() *version {
	if !s.canary.Present {
		return nil
	}
	return s.byHash(s.canary.Hash)
}

func (s *shipping) paused() bool { return s.deployment.Spec.Paused }

// stableChanges have the stable version be the Deployment's, be there when pods of it are asked for, and be what Kubernetes starts when the
// Deployment comes back from no pods.
func (s *shipping) stableChanges(stable *version) []change {
	limit := historyLimit(s.deployment)
	switch {
	case stable == nil && s.held && s.stable != "" && (s.replicas() > 0 || limit > 0) && !s.startsNew():
		return []change{{kind: changeRestore}}
	case stable == nil:
		return nil
	case stable.apart:
		return []change{{kind: changeHand, set: stable.ReplicaSet}}
	case stable.made() || workload.IsMarked(stable.ReplicaSet):
		return []change{{kind: changePromote, set: stable.ReplicaSet}}
	case s.replicas() > 0 || !s.held || limit <= 0 || hasPods(stable.ReplicaSet):
		return nil
	}
	// The one of the Deployment's pod template is deleted meanwhile, and so is what Headgate has made.
	var others []*appsv1.ReplicaSet
	for i := range s.sets {
		if set := &s.sets[i]; set == stable || !set.apart && !set.made() && !s.isNew(set) {
			others = append(others, set.ReplicaSet)
		}
	}
	if latest := workload.Latest(&s.deployment.Spec.Template, others); latest != nil && latest != stable.ReplicaSet {
		return []change{{kind: changeRenew, set: stable.ReplicaSet}}
	}
	return nil
}

func (s *shipping) isNew(set *version) bool {
	return workload.SameTemplate(&s.deployment.Spec.Template, &set.Spec.Template)
}

// deploymentsNew is the ReplicaSet that Kubernetes takes for the new one of the Deployment; nil: there is none.
func (s *shipping) deploymentsNew() *appsv1.ReplicaSet {
	return workload.Find(&s.deployment.Spec.Template, s.own())
}

// startsNew: Kubernetes gives the pods to what it takes for the new one, and takes them from all others.
func (s *shipping) startsNew() bool {
	set := s.deploymentsNew()
	return set != nil && wants(set) > 0
}

// marks have Kubernetes take no version with pods that is untested for the new one of the Deployment, as long as the sizes are Headgate's. What
// it rolls out, and what only was there before, has no mark. Without any pods Kubernetes would start the new one.
func (s *shipping) marks(stable, canary *version) []change {
	var out []change
	for i := range s.sets {
		set := &s.sets[i]
		if set == stable || set.apart {
			continue
		}
		held, isMarked := s.held && s.paused(), workload.IsMarked(set.ReplicaSet)
		switch {
		case held && wants(set.ReplicaSet) > 0 && s.deploymentsNew() == set.ReplicaSet:
			out = append(out, change{kind: changeMark, set: set.ReplicaSet})
		case isMarked && !held && (set == canary || hasPods(set.ReplicaSet)),
			isMarked && set != canary && !set.made() && !hasPods(set.ReplicaSet) && s.replicas() > 0:
			out = append(out, change{kind: changeUnmark, set: set.ReplicaSet})
		}
	}
	return out
}

// canaryChanges make the canary, and have it belong to who it is to belong to.
func (s *shipping) canaryChanges(stable, canary *version) []change {
	switch {
	case !s.canary.Present:
		return nil
	case canary == nil && (s.nameTaken() || !s.mayCreate(stable)):
		return nil
	case canary == nil && !s.canary.Apart && s.deploymentsNew() == nil:
		return []change{{kind: changeStandIn}}
	case canary == nil:
		return []change{{kind: changeCreate}}
	case s.canary.Apart && !canary.apart:
		return []change{{kind: changeTake, set: canary.ReplicaSet}}
	case !s.canary.Apart && canary.apart:
		return s.handBack(stable, canary)
	case canary.apart:
		want := s.canary.Replicas
		if !s.served {
			want = min(want, wants(canary.ReplicaSet))
		}
		return s.resize(canary, want)
	}
	return nil
}

// handBack gives a canary to the Deployment. While the sizes are Headgate's, stable has its own pods first, so that it is larger: Kubernetes
// gives and takes what is missing or too much from the largest.
func (s *shipping) handBack(stable, canary *version) []change {
	if s.held && stable != nil {
		if most := min(s.canary.Replicas, s.replicas()-1); wants(canary.ReplicaSet) > most {
			return s.resize(canary, most)
		}
		if wants(stable.ReplicaSet) < s.replicas() {
			return nil
		}
	}
	return []change{{kind: changeHand, set: canary.ReplicaSet}}
}

// nameTaken: what stood in for the canary had pods when there was to be one pod, and was taken from the Deployment. It is deleted first.
func (s *shipping) nameTaken() bool {
	return slices.ContainsFunc(s.sets, func(set version) bool {
		return set.apart && set.standsIn() && workload.HashOf(set.ReplicaSet) == s.canary.Hash
	})
}

// mayCreate: the pod template is the canary's and is held, the Deployment's controller has seen it, and stable has pods: Kubernetes gives all
// of them to a new version where no other has any. What nobody has seen yet it may still delete as an old one without pods.
func (s *shipping) mayCreate(stable *version) bool {
	return s.served && s.paused() && isSettled(s.deployment) && stable != nil && wants(stable.ReplicaSet) > 0 &&
		stable.Status.ObservedGeneration >= stable.Generation && s.template == s.canary.Revision &&
		s.deployment.Spec.Template.Annotations[workload.AnnotationConfig] == s.config
}

// leftover is what becomes of a version that is neither stable nor the canary.
func (s *shipping) leftover(set, stable *version) []change {
	switch {
	case set.apart && wants(set.ReplicaSet) > 0:
		return s.resize(set, 0)
	case set.apart && !hasPods(set.ReplicaSet):
		return []change{{kind: changeDelete, set: set.ReplicaSet}}
	case set.apart:
		return nil
	case s.standsInStill(set):
		return nil
	case set.made() && !hasPods(set.ReplicaSet) && (s.paused() || !s.isNew(set)):
		return []change{{kind: changeDelete, set: set.ReplicaSet}}
	case !s.paused():
		return nil // What Kubernetes rolls out is its own.
	case s.held && stable != nil && s.replicas() == 1 && wants(set.ReplicaSet) > 0:
		// Of one pod nothing can be moved.
		return []change{{kind: changeTake, set: set.ReplicaSet}}
	case hasPods(set.ReplicaSet):
		return nil
	case s.held && stable != nil && s.replicas() == 0 && s.isNew(set):
		return []change{{kind: changeDelete, set: set.ReplicaSet}}
	}
	return nil
}

// standsInStill: Kubernetes would take a canary for the new one that is there, or comes, and is not to be released.
func (s *shipping) standsInStill(set *version) bool {
	if !set.standsIn() || hasPods(set.ReplicaSet) || !s.held || !s.paused() || s.replicas() == 0 || !s.isNew(set) {
		return false
	}
	canary := s.byHash(workload.HashOf(set.ReplicaSet))
	return s.canary.Present && !s.canary.Apart && s.canary.Hash == workload.HashOf(set.ReplicaSet) || canary != nil && !canary.apart && hasPods(canary.ReplicaSet)
}

// hasPods: it has pods, is to have some, or nobody has seen what it is to have.
func hasPods(set *appsv1.ReplicaSet) bool {
	return wants(set) > 0 || set.Status.Replicas > 0 || set.Status.ObservedGeneration < set.Generation
}

func (s *shipping) resize(set *version, to int32) []change {
	if wants(set.ReplicaSet) == to {
		return nil
	}
	return []change{{kind: changeScale, set: set.ReplicaSet, size: &to}}
}

// size is the next size of the Deployment's own ReplicaSets; nil: they are as they are to be, or are Kubernetes' own.
func (s *shipping) size(stable, canary *version) *change {
	if !s.held || !s.paused() || s.stable == "" || !isSettled(s.deployment) || s.othersServe(stable, canary) {
		return nil
	}
	surge, _ := workload.Bounds(s.deployment)
	want := workload.Scale{Replicas: s.replicas(), Surge: surge}
	if canary != nil && !canary.apart {
		// With the stable pod template Kubernetes takes its pods itself. Given back to it, they would cost stable its own, again and again.
		if want.Canary = s.canary.Replicas; !s.served || s.template == s.stable {
			want.Canary = min(want.Canary, wants(canary.ReplicaSet))
		}
	}
	var sets []workload.ReplicaSet
	byName := map[string]*appsv1.ReplicaSet{}
	for i := range s.sets {
		set := &s.sets[i]
		if set.apart {
			continue
		}
		byName[set.Name] = set.ReplicaSet
		role := workload.RoleOther
		switch set {
		case stable:
			role = workload.RoleStable
		case canary:
			role = workload.RoleCanary
		}
		sets = append(sets, workload.ReplicaSet{
			Name: set.Name, Created: set.CreationTimestamp.Time, Role: role, Replicas: wants(set.ReplicaSet),
			Most: workload.Note(set.ReplicaSet, workload.AnnotationMost),
		})
	}
	size := workload.Sizes(want, sets)
	switch {
	case size == nil:
		return nil
	case canary != nil && size.Name == canary.Name && size.Replicas == 0 && want.Canary > 0:
		// Of three pods there is no other way from two to one. Apart it keeps that one, and stable gets its own meanwhile.
		return &change{kind: changeTake, set: canary.ReplicaSet, size: &want.Canary}
	}
	return &change{kind: changeScale, set: byName[size.Name], size: &size.Replicas}
}

// othersServe: while the stable side's Service selects all pods, those of another version take calls, and are not taken away before it is decided.
func (s *shipping) othersServe(stable, canary *version) bool {
	return !s.served && !s.ends && slices.ContainsFunc(s.sets, func(set version) bool {
		return !set.apart && wants(set.ReplicaSet) > 0 && (stable == nil || set.Name != stable.Name) && (canary == nil || set.Name != canary.Name)
	})
}

// unmarks are what has to come before Kubernetes rolls out the Deployment's pod template.
func (v *versions) unmarks() []change {
	var out []change
	for i := range v.sets {
		switch set := &v.sets[i]; {
		case set.apart:
		case set.isPlaceholder(), set.made() && !hasPods(set.ReplicaSet):
			out = append(out, change{kind: changeDelete, set: set.ReplicaSet})
		case set.made():
			out = append(out, change{kind: changePromote, set: set.ReplicaSet})
		case workload.IsMarked(set.ReplicaSet):
			out = append(out, change{kind: changeUnmark, set: set.ReplicaSet})
		}
	}
	return out
}

// taken: Kubernetes knows the ReplicaSet of the Deployment's pod template that has pods for what it is. Released before that, it would start
// all of them again.
func (v *versions) taken() bool {
	own, template := v.own(), &v.deployment.Spec.Template
	for _, set := range own {
		if hasPods(set) && workload.SameVersion(template, &set.Spec.Template) {
			return workload.Find(template, own) == set && workload.IsTaken(set, own)
		}
	}
	return true
}

func historyLimit(d *appsv1.Deployment) int32 {
	if d.Spec.RevisionHistoryLimit == nil {
		return 10
	}
	return *d.Spec.RevisionHistoryLimit
}
