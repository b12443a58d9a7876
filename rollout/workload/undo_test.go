package workload

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

// paused is a paused Deployment with the part of Kubernetes' controller that still works on it: `scale` in
// pkg/controller/deployment/sync.go, without a change of its size.
type paused struct {
	*appsv1.Deployment
	size, surge int32
	sets        []ReplicaSet
}

func (p *paused) control() {
	var active []*ReplicaSet
	var newest *ReplicaSet
	var total int32
	for i := range p.sets {
		set := &p.sets[i]
		if set.Unwanted {
			newest = set
		}
		if set.Replicas > 0 {
			active = append(active, set)
			total += set.Replicas
		}
	}
	switch {
	case len(active) == 0:
		newest.Replicas = p.size
	case len(active) == 1:
		active[0].Replicas = p.size
	case newest.Replicas == p.size && newest.Ready == p.size:
		for _, set := range active {
			if set != newest {
				set.Replicas = 0
			}
		}
	case p.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType:
		more := p.size + p.surge - total
		slices.SortFunc(active, func(a, b *ReplicaSet) int {
			if a.Replicas != b.Replicas {
				return int(b.Replicas - a.Replicas)
			}
			if more > 0 {
				return b.Created.Compare(a.Created)
			}
			return a.Created.Compare(b.Created)
		})
		active[0].Replicas = max(0, active[0].Replicas+more)
	}
	for i := range p.sets {
		p.sets[i].Ready = min(p.sets[i].Ready, p.sets[i].Replicas)
	}
}

func (p *paused) ready() (n int32) {
	for _, set := range p.sets {
		n += set.Ready
	}
	return n
}

func (p *paused) String() string {
	text := fmt.Sprintf("%d+%d:", p.size, p.surge)
	for _, set := range p.sets {
		text += fmt.Sprintf(" %s %d/%d", set.Name, set.Ready, set.Replicas)
	}
	return text
}

// However far a rolling update has come, it is undone, and no more pods are missing meanwhile than were, or than a portion more than
// may be.
func TestUndoTakesARollingUpdateBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int32Range(1, 12).Draw(t, "size")
		p := &paused{Deployment: &appsv1.Deployment{}, size: size, surge: rapid.Int32Range(0, 4).Draw(t, "surge")}
		most := rapid.Int32Range(0, 3).Draw(t, "unavailable")
		if p.surge == 0 {
			most = max(1, most)
		}
		p.Spec.Replicas = &p.size
		p.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: &intstr.IntOrString{IntVal: most}}
		missing := min(most, size)
		// As a rolling update leaves it: the newest has some, two older ones the rest, and as many are ready as have to be.
		bad := rapid.Int32Range(1, size).Draw(t, "bad")
		old := max(0, size-missing-bad)
		first := rapid.Int32Range(0, old).Draw(t, "first")
		p.sets = []ReplicaSet{
			{Name: "v1", Stable: true, Replicas: first, Ready: first, Created: time.Unix(1, 0)},
			{Name: "v2", Replicas: old - first, Ready: old - first, Created: time.Unix(2, 0)},
			{Name: "v3", Unwanted: true, Replicas: bad, Ready: min(bad, size-missing-old), Created: time.Unix(3, 0)},
		}
		if p.sets[2].Ready == size {
			t.Skip("it is complete")
		}
		least := min(p.ready(), size-missing) - max(1, missing)
		p.control()
		for range 200 {
			if p.sets[2].Replicas == 0 && p.sets[0].Replicas+p.sets[1].Replicas >= size {
				return
			}
			for _, next := range Undo(p.Deployment, p.sets) {
				i := slices.IndexFunc(p.sets, func(s ReplicaSet) bool { return s.Name == next.Name })
				p.sets[i].Replicas = next.Replicas
				p.sets[i].Ready = min(p.sets[i].Ready, next.Replicas)
			}
			p.control()
			if p.ready() < least {
				t.Fatalf("%d pods are ready, there are to be %d: %s", p.ready(), least, p)
			}
			// A pod of the good ones becomes ready; those that are unwanted may be broken.
			for i := range p.sets[:2] {
				if p.sets[i].Ready < p.sets[i].Replicas {
					p.sets[i].Ready++
					break
				}
			}
			p.control()
		}
		t.Fatalf("no end: %s", p)
	})
}

func TestUndo(t *testing.T) {
	for name, c := range map[string]struct {
		strategy appsv1.DeploymentStrategyType
		sets     []ReplicaSet
		want     []Size
	}{
		"nothing of it":                     {"", []ReplicaSet{{Name: "v1", Replicas: 4, Ready: 4}, {Name: "v2", Unwanted: true}}, nil},
		"it has just begun":                 {"", []ReplicaSet{{Name: "v1", Replicas: 3, Ready: 3}, {Name: "v2", Unwanted: true, Replicas: 2}}, []Size{{"v2", 0}}},
		"the others are not ready":          {"", []ReplicaSet{{Name: "v1", Replicas: 2, Ready: 1}, {Name: "v2", Unwanted: true, Replicas: 3, Ready: 3}}, nil},
		"it is nearly through":              {"", []ReplicaSet{{Name: "v1", Replicas: 1, Ready: 1}, {Name: "v2", Unwanted: true, Replicas: 4, Ready: 3}}, []Size{{"v1", 2}}},
		"it is through but for being ready": {"", []ReplicaSet{{Name: "v1", Stable: true}, {Name: "v2", Unwanted: true, Replicas: 4, Ready: 3}}, []Size{{"v1", 1}}},
		"it is through":                     {"", []ReplicaSet{{Name: "v1", Stable: true}, {Name: "v2", Unwanted: true, Replicas: 4, Ready: 4}}, nil},
		"nothing to go back to":             {"", []ReplicaSet{{Name: "v0"}, {Name: "v2", Unwanted: true, Replicas: 4, Ready: 3}}, nil},
		"all at once":                       {"Recreate", []ReplicaSet{{Name: "v1", Stable: true}, {Name: "v2", Unwanted: true, Replicas: 4}}, []Size{{"v1", 4}, {"v2", 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			size := int32(4)
			d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &size, Strategy: appsv1.DeploymentStrategy{Type: c.strategy}}}
			if got := Undo(d, c.sets); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
