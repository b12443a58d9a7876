package metrics

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestMetricsSayWhereARolloutIs(t *testing.T) {
	named := func(name string, spec *v1alpha1.Rollout, status *v1alpha1.RolloutStatus) v1alpha1.ExposedService {
		return v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       v1alpha1.ExposedServiceSpec{Rollout: spec}, Status: v1alpha1.ExposedServiceStatus{Rollout: status},
		}
	}
	steps := []v1alpha1.RolloutStep{{Weight: intstr.FromInt32(5)}, {Weight: intstr.FromInt32(50)}}
	items := []v1alpha1.ExposedService{
		named("chosen", &v1alpha1.Rollout{}, &v1alpha1.RolloutStatus{
			Phase: v1alpha1.RolloutStepping, Step: 2, Weight: 100_000, Suspicions: 1,
			Plan: &v1alpha1.RolloutPlan{Weights: []int32{10_000, 100_000, 500_000}}, Evidence: &v1alpha1.RolloutEvidence{Percent: 62},
		}),
		named("given", &v1alpha1.Rollout{Steps: steps}, &v1alpha1.RolloutStatus{
			Phase: v1alpha1.RolloutRechecking, Step: 1, Suspicions: 2, Evidence: &v1alpha1.RolloutEvidence{},
		}),
		named("idle", &v1alpha1.Rollout{}, &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutIdle}),
		named("measuring", &v1alpha1.Rollout{}, &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPreparing, Step: 1, Evidence: &v1alpha1.RolloutEvidence{}}),
		named("none", nil, nil),
		named("new", &v1alpha1.Rollout{Steps: steps}, nil),
		named("withdrawn", nil, &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutRollingBack, Step: 1}),
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&trafficCollector{reader: heldReader{items: items}})
	want := `# TYPE headgate_rollout_evidence_ratio gauge
headgate_rollout_evidence_ratio{name="chosen",namespace="shop"} 0.62
headgate_rollout_evidence_ratio{name="given",namespace="shop"} 0
headgate_rollout_evidence_ratio{name="measuring",namespace="shop"} 0
# TYPE headgate_rollout_phase gauge
headgate_rollout_phase{name="chosen",namespace="shop",phase="Stepping"} 1
headgate_rollout_phase{name="given",namespace="shop",phase="Rechecking"} 1
headgate_rollout_phase{name="idle",namespace="shop",phase="Idle"} 1
headgate_rollout_phase{name="measuring",namespace="shop",phase="Preparing"} 1
headgate_rollout_phase{name="withdrawn",namespace="shop",phase="RollingBack"} 1
# TYPE headgate_rollout_step gauge
headgate_rollout_step{name="chosen",namespace="shop"} 2
headgate_rollout_step{name="given",namespace="shop"} 1
headgate_rollout_step{name="measuring",namespace="shop"} 1
headgate_rollout_step{name="withdrawn",namespace="shop"} 1
# TYPE headgate_rollout_steps gauge
headgate_rollout_steps{name="chosen",namespace="shop"} 3
headgate_rollout_steps{name="given",namespace="shop"} 2
# TYPE headgate_rollout_suspicions gauge
headgate_rollout_suspicions{name="chosen",namespace="shop"} 1
headgate_rollout_suspicions{name="given",namespace="shop"} 2
headgate_rollout_suspicions{name="idle",namespace="shop"} 0
headgate_rollout_suspicions{name="measuring",namespace="shop"} 0
headgate_rollout_suspicions{name="withdrawn",namespace="shop"} 0
# TYPE headgate_rollout_weight_ratio gauge
headgate_rollout_weight_ratio{name="chosen",namespace="shop"} 0.1
headgate_rollout_weight_ratio{name="given",namespace="shop"} 0
headgate_rollout_weight_ratio{name="idle",namespace="shop"} 0
headgate_rollout_weight_ratio{name="measuring",namespace="shop"} 0
headgate_rollout_weight_ratio{name="withdrawn",namespace="shop"} 0
`
	if diff := cmp.Diff(want, exposition(t, registry)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
