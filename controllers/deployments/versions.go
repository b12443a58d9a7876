package deployments

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=list;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list

// versions are a Deployment and what it has of each version, from one reading.
type versions struct {
	deployment *appsv1.Deployment
	sets       []version
}

// version is a ReplicaSet, and what its pods say.
type version struct {
	*appsv1.ReplicaSet

	// apart: it belongs to the ExposedService, or to nobody yet, and not to the Deployment.
	apart bool
	pods  podsFinding
}

// readVersions reads a Deployment, its ReplicaSets, and their pods; nil: the Deployment does not exist, or is another one. Pods are
// read from the API server's own cache.
func readVersions(ctx context.Context, reader client.Reader, name types.NamespacedName, exs types.NamespacedName) (*versions, error) {
	d, err := kube.Get[appsv1.Deployment](ctx, reader, name)
	if err != nil || d == nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("read the selector of Deployment %s: %w", name, err)
	}
	selected := []client.ListOption{client.InNamespace(name.Namespace), client.MatchingLabelsSelector{Selector: selector}}
	var sets appsv1.ReplicaSetList
	if err := reader.List(ctx, &sets, selected...); err != nil {
		return nil, fmt.Errorf("list the ReplicaSets of Deployment %s: %w", name, err)
	}
	var pods corev1.PodList
	if err := reader.List(ctx, &pods, append(selected, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})...); err != nil {
		return nil, fmt.Errorf("list the pods of Deployment %s: %w", name, err)
	}
	if _, err := KeepPausers(d); err != nil {
		return nil, err
	}
	out := &versions{deployment: d}
	for i := range sets.Items {
		set := &sets.Items[i]
		owner := metav1.GetControllerOfNoCopy(set)
		own := owner != nil && owner.UID == d.UID
		apart := set.Annotations[workload.AnnotationCanaryOf] == exs.Name && (owner == nil || kube.IsExposedService(owner))
		if !own && !apart {
			continue
		}
		set.ManagedFields = nil
		out.sets = append(out.sets, version{ReplicaSet: set, apart: apart, pods: podsOf(set, pods.Items)})
	}
	// Two readings of the same are alike.
	slices.SortFunc(out.sets, func(a, b version) int { return compareNames(a.Name, b.Name) })
	return out, nil
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// podsOf is what the pods of a ReplicaSet say.
func podsOf(set *appsv1.ReplicaSet, pods []corev1.Pod) podsFinding {
	var own []*corev1.Pod
	for i := range pods {
		if owner := metav1.GetControllerOfNoCopy(&pods[i]); owner != nil && owner.UID == set.UID {
			own = append(own, &pods[i])
		}
	}
	return findingOf(set, own)
}

// replicas is how many pods the Deployment is to have.
func (v *versions) replicas() int32 { return ptr.Deref(v.deployment.Spec.Replicas, 1) }

// own are the ReplicaSets that the Deployment has.
func (v *versions) own() []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for _, set := range v.sets {
		if !set.apart {
			out = append(out, set.ReplicaSet)
		}
	}
	return out
}

// byHash is the version with a hash; nil: there is none. What stands in for it is it only where somebody has given that pods instead.
func (v *versions) byHash(hash string) *version {
	var out *version
	for i := range v.sets {
		set := &v.sets[i]
		switch {
		case hash == "" || workload.HashOf(set.ReplicaSet) != hash || set.isPlaceholder():
		case out == nil || wants(set.ReplicaSet) > wants(out.ReplicaSet):
			out = set
		}
	}
	return out
}

// made: Headgate has made it, and nobody has promoted it.
func (v *version) made() bool {
	return v.Annotations[workload.AnnotationCanaryOf] != "" || v.standsIn()
}

// standsIn: it was made to stand in for a canary.
func (v *version) standsIn() bool { return v.Annotations[workload.AnnotationStandInOf] != "" }

// isPlaceholder: it stands in for a canary, and nobody has given it pods instead. One that its controller has yet to see has none either.
func (v *version) isPlaceholder() bool {
	return v.standsIn() && wants(v.ReplicaSet) == 0 && v.Status.Replicas == 0
}

// remains: there are some without pods that Headgate has made.
func (v *versions) remains() bool {
	return slices.ContainsFunc(v.sets, func(s version) bool { return s.made() && wants(s.ReplicaSet) == 0 })
}

// made: there are some that Headgate has made or marked.
func (v *versions) made() bool {
	return slices.ContainsFunc(v.sets, func(s version) bool { return s.made() || workload.IsMarked(s.ReplicaSet) })
}

// wants is how many pods a ReplicaSet is to have.
func wants(set *appsv1.ReplicaSet) int32 { return ptr.Deref(set.Spec.Replicas, 1) }

// revision is that of a ReplicaSet.
func (c trackedConfig) revision(set *appsv1.ReplicaSet) (string, error) {
	out, err := workload.Revision(&set.Spec.Template, c.of(&set.Spec.Template))
	if err != nil {
		return "", fmt.Errorf("ReplicaSet %s: %w", set.Name, err)
	}
	return out, nil
}

// versionFacts are what is known of the versions, in the decider's words.
type versionFacts struct {
	running   string
	others    int32
	begun     int32
	stable    rollout.ReplicaSet
	next      string
	previous  []string
	restart   bool
	canary    *version
	canaryRev string
}

// facts looks at the versions from the side of an ExposedService. revision is that of the Deployment's pod template, and template that one
// as it will be when it has its configuration.
func (v *versions) facts(exs *v1alpha1.ExposedService, config trackedConfig, revision string, template *corev1.PodTemplateSpec) (versionFacts, error) {
	var out versionFacts
	status := ptr.Deref(exs.Status.Rollout, v1alpha1.RolloutStatus{})
	traffic := ptr.Deref(exs.Status.Traffic, v1alpha1.TrafficStatus{})
	revisions, err := v.revisions(config)
	if err != nil {
		return out, err
	}
	out.running, out.others, out.begun = v.running(revisions, revision)
	out.next = revision
	var all []*appsv1.ReplicaSet
	for _, set := range v.sets {
		all = append(all, set.ReplicaSet)
		have := revisions[set.Name]
		if have != status.Stable && !set.made() && rollout.ConfigOf(have) == rollout.ConfigOf(revision) &&
			workload.SameButRestart(&set.Spec.Template, template) {
			out.previous = append(out.previous, have)
		}
	}
	if set := workload.FindVersion(template, all); set != nil {
		out.next = workload.HashOf(set)
	}
	if stable := v.pick(revisions, status.Stable, traffic.StableHash); stable != nil {
		out.stable = rollout.ReplicaSet{
			Hash: workload.HashOf(stable.ReplicaSet), Wants: wants(stable.ReplicaSet), Ready: stable.Status.ReadyReplicas,
			Available: stable.Status.AvailableReplicas, Marked: stable.made() || workload.IsMarked(stable.ReplicaSet),
		}
		out.restart = rollout.ConfigOf(status.Stable) == rollout.ConfigOf(revision) && workload.IsRestart(&stable.Spec.Template, template)
	}
	if status.Revision != status.Stable {
		out.canary, out.canaryRev = v.pick(revisions, status.Revision, traffic.CanaryHash), status.Revision
	}
	return out, nil
}

// ready is how many pods of the Deployment are ready, and available.
func (v *versions) ready() (ready, available int32) {
	for _, set := range v.own() {
		ready += set.Status.ReadyReplicas
		available += set.Status.AvailableReplicas
	}
	return ready, available
}

// revisions are those of the ReplicaSets, by their names.
func (v *versions) revisions(config trackedConfig) (map[string]string, error) {
	out := make(map[string]string, len(v.sets))
	for _, set := range v.sets {
		revision, err := config.revision(set.ReplicaSet)
		if err != nil {
			return nil, err
		}
		out[set.Name] = revision
	}
	return out, nil
}

// running is the revision that all pods of the Deployment run, if they run one, and how many are not of a revision, and how many are.
func (v *versions) running(revisions map[string]string, revision string) (running string, others, begun int32) {
	several := false
	for _, set := range v.sets {
		if set.Status.Replicas == 0 || set.apart {
			continue
		}
		have := revisions[set.Name]
		several = several || running != "" && running != have
		if running = have; have != revision {
			others += set.Status.Replicas
		} else {
			begun += set.Status.Replicas
		}
	}
	if several {
		running = ""
	}
	return running, others, begun
}

// pick is the version of a revision; nil: there is none. Of several that counts by whose hash a Service selects, and then the one that
// has most pods.
func (v *versions) pick(revisions map[string]string, revision, hash string) *version {
	if set := v.byHash(hash); set != nil && revision != "" && revisions[set.Name] == revision {
		return set
	}
	var out *version
	for i := range v.sets {
		set := &v.sets[i]
		switch {
		case revision == "" || revisions[set.Name] != revision || set.isPlaceholder():
		case out == nil || set.Status.Replicas > out.Status.Replicas:
			out = set
		}
	}
	return out
}

// observed is the canary in the decider's words.
func (f versionFacts) observed() rollout.Canary {
	out := rollout.Canary{Known: true}
	if set := f.canary; set != nil {
		out.Found, out.Revision, out.Wants = true, f.canaryRev, wants(set.ReplicaSet)
		out.Ready, out.Available = set.Status.ReadyReplicas, set.Status.AvailableReplicas
		out.ReadySince, out.Trouble, out.Waits = set.pods.readySince, set.pods.trouble, set.pods.waits
	}
	return out
}

// VersionsPeriod is how often the versions of a Deployment are read while a rollout is under way: they are not watched.
const VersionsPeriod = time.Second
