package metrics

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// heldReader lists what it holds, as a cache does.
type heldReader struct {
	client.Reader
	items []v1alpha1.ExposedService
}

func (r heldReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.ExposedServiceList).Items = r.items
	return nil
}

// exposition is what a registry would be scraped as.
func exposition(t *testing.T, gatherer prometheus.Gatherer) string {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, family := range families {
		family.Help = nil
		if _, err := expfmt.MetricFamilyToText(&out, family); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestMetricsNameWhoIsFailedOverAndHeld(t *testing.T) {
	failedOver := v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	failedOver.Status = v1alpha1.ExposedServiceStatus{
		Active: "backup",
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready"},
			{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionTrue, Reason: "SwitchHeld"},
		},
		Traffic: &v1alpha1.TrafficStatus{
			Reason: v1alpha1.DecisionSwitchedToBackup, Time: metav1.NewMicroTime(time.UnixMilli(1_800_000_000_250)),
			Weights: []v1alpha1.BackendWeight{{Name: "primary"}, {Name: "backup", Weight: 1_000_000}},
		},
		Backends: []v1alpha1.BackendStatus{
			{Name: "primary", Health: v1alpha1.BackendDown, Ready: ptr.To(int32(0))},
			{Name: "backup"},
		},
	}
	notSeen := v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "new"}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&trafficCollector{reader: heldReader{items: []v1alpha1.ExposedService{failedOver, notSeen}}})
	want := `# TYPE headgate_backend_active gauge
headgate_backend_active{backend="backup",name="greeter",namespace="shop"} 1
headgate_backend_active{backend="primary",name="greeter",namespace="shop"} 0
# TYPE headgate_backend_healthy gauge
headgate_backend_healthy{backend="primary",name="greeter",namespace="shop"} 0
# TYPE headgate_backend_ready_endpoints gauge
headgate_backend_ready_endpoints{backend="primary",name="greeter",namespace="shop"} 0
# TYPE headgate_backend_weight_ratio gauge
headgate_backend_weight_ratio{backend="backup",name="greeter",namespace="shop"} 1
headgate_backend_weight_ratio{backend="primary",name="greeter",namespace="shop"} 0
# TYPE headgate_exposedservice_condition gauge
headgate_exposedservice_condition{condition="FailedOver",name="greeter",namespace="shop",reason="SwitchHeld",status="True"} 1
headgate_exposedservice_condition{condition="Ready",name="greeter",namespace="shop",reason="Ready",status="True"} 1
# TYPE headgate_last_decision_timestamp_seconds gauge
headgate_last_decision_timestamp_seconds{name="greeter",namespace="shop",reason="SwitchedToBackup"} 1.80000000025e+09
`
	if diff := cmp.Diff(want, exposition(t, registry)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCountersWithKnownLabelsStartAtZero(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	if err := New().Register(registry, heldReader{}); err != nil {
		t.Fatal(err)
	}
	got := exposition(t, registry)
	for _, series := range []string{
		`headgate_decisions_total{reason="SwitchHeld"} 0`,
		`headgate_source_looks_total{result="error",source="Prometheus"} 0`,
		`headgate_source_looks_total{result="success",source="Envoy"} 0`,
		`headgate_host_lookups_total{result="error"} 0`,
		`headgate_reconcile_duration_seconds_count{result="error"} 0`,
	} {
		if !strings.Contains(got, series+"\n") {
			t.Errorf("there is no %s in\n%s", series, got)
		}
	}
	if result := outcome(nil); !strings.Contains(got, `headgate_host_lookups_total{result="`+result+`"}`) {
		t.Errorf("a look-up that worked would begin a series of its own, with the result %q", result)
	}
}

// A reason that is added to the API has to start at zero as well.
func TestDecisionReasonsAreThoseOfTheAPI(t *testing.T) {
	var declared []v1alpha1.DecisionReason
	for _, name := range []string{"failover_types.go", "rollout_types.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/"+name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, reasonsIn(t, file)...)
	}
	if len(declared) == 0 {
		t.Fatal("found no reasons: have they moved?")
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(declared)), slices.Sorted(slices.Values(decisionReasons))); diff != "" {
		t.Errorf("(-API +metrics):\n%s", diff)
	}
}

func reasonsIn(t *testing.T, file *ast.File) []v1alpha1.DecisionReason {
	t.Helper()
	var declared []v1alpha1.DecisionReason
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "DecisionReason" {
			return false
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, v1alpha1.DecisionReason(value))
		return false
	})
	return declared
}
