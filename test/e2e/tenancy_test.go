package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

// TestATenantReachesNothingOfOthers is somebody with the cluster's own role edit in one namespace, beside an application in another. With
// hosts that name the other's Service all calls of a public Gateway reached it once.
func TestATenantReachesNothingOfOthers(t *testing.T) {
	ctx, space := apart(t, "tenant")
	victim := space + "-victim"
	must(t, cluster.MakeNamespace(ctx, victim))
	t.Cleanup(func() { must(t, cluster.RemoveNamespace(context.Background(), victim)) })
	must(t, cluster.Deploy(ctx, victim, scene.App{Name: "payments", Replicas: 1}))
	user := "tenant-of-" + space
	must(t, cluster.Put(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: "edit"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
	tenant, err := cluster.As(user)
	must(t, err)

	exs := scene.ExposedService(space, "greeter", primary)
	must(t, scene.Until(ctx, "the right to write ExposedServices in one's own namespace", func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(tenant.Create(ctx, exs.DeepCopy()))
	}))
	must(t, cluster.UntilExposed(ctx, exs))
	untilAllAnswered(ctx, t, exs, nil)
	elsewhere := scene.ExposedService(victim, "greeter", "payments")
	if err := tenant.Create(ctx, elsewhere); !apierrors.IsForbidden(err) {
		t.Errorf("an ExposedService in another namespace: %v", err)
	}

	for _, host := range []string{"payments." + victim + ".svc.cluster.local", "payments." + victim + ".svc", "kubernetes.default.svc.cluster.local"} {
		must(t, tenant.Change(ctx, exs, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Backends = append(spec.Backends[:1:1], v1alpha1.Backend{Name: "far", FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(host), Port: scene.GRPCPort}})
			spec.Failover = &v1alpha1.Failover{Pin: "far"}
		}))
		condition, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
		must(t, err)
		t.Log(condition.Message)
		reachesNobodyElse(ctx, t, exs)
	}

	must(t, tenant.Change(ctx, exs, func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Backends, spec.Failover = spec.Backends[:1], nil
		spec.Overrides = []v1alpha1.Override{{Kind: v1alpha1.OverrideEnvoyProxy, Patch: apiextensionsv1.JSON{Raw: []byte(
			`{"spec":{"provider":{"type":"Kubernetes","kubernetes":{"envoyDeployment":{"initContainers":[{"name":"evil","image":"evil.example.com/evil"}]}}}}}`)}}}
	}))
	condition, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidOverride)
	must(t, err)
	t.Log(condition.Message)
	reachesNobodyElse(ctx, t, exs)
	var pods corev1.PodList
	must(t, cluster.List(ctx, &pods))
	for _, pod := range pods.Items {
		if strings.Contains(fmt.Sprint(pod.Spec), "evil") {
			t.Errorf("pod %s/%s runs what the tenant has chosen", pod.Namespace, pod.Name)
		}
	}
}

// reachesNobodyElse makes calls, of which none may be answered by another application than the tenant's, and none may fail.
func reachesNobodyElse(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService) {
	t.Helper()
	report := answers(ctx, t, exs, func(config *load.Config) { config.Rate = 250 })
	for pod, calls := range report.ByPod {
		if !strings.HasPrefix(pod, primary+"-") {
			t.Errorf("%d of %d calls were answered by %s", calls, report.Total, pod)
		}
	}
	if report.Failed > 0 {
		t.Errorf("%d of %d calls failed: %v", report.Failed, report.Total, report.ByCode)
	}
	t.Logf("%d calls, %d answered by the tenant's own, 0 by others", report.Total, report.ByCode[codes.OK])
}
