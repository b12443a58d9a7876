package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

// apart makes a namespace of a test's own, with an application in it.
func apart(t *testing.T, name string) (context.Context, string) {
	t.Helper()
	ctx := onCluster(t)
	space := "e2e-" + name
	must(t, cluster.MakeNamespace(ctx, space))
	t.Cleanup(func() { must(t, cluster.RemoveNamespace(context.Background(), space)) })
	must(t, cluster.Deploy(ctx, space, scene.App{Name: primary, Replicas: 1}))
	return ctx, space
}

// answers makes a few calls and returns what became of them.
func answers(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService, change func(*load.Config)) load.Report {
	t.Helper()
	config, err := scene.Load(exs, 50)
	must(t, err)
	config.Duration = time.Second
	if change != nil {
		change(&config)
	}
	live, err := load.Start(ctx, config)
	must(t, err)
	return live.Wait()
}

// untilAllAnswered waits until calls like those that will count are answered.
func untilAllAnswered(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService, change func(*load.Config)) {
	t.Helper()
	config, err := scene.Load(exs, calm)
	must(t, err)
	if change != nil {
		change(&config)
	}
	must(t, scene.UntilAnswered(ctx, config))
}

// TestTLSListener: without its Secret the listener is not ready and the condition names it; with it
// calls go through TLS, on an address inside the cluster.
func TestTLSListener(t *testing.T) {
	ctx, space := apart(t, "tls")
	exs := scene.ExposedService(space, "greeter", primary)
	exs.Spec.Gateway.Visibility = ptr.To(v1alpha1.VisibilityInternal)
	exs.Spec.Gateway.Listener = &v1alpha1.Listener{
		TLS: &v1alpha1.ListenerTLS{CertificateRefs: []v1alpha1.CertificateRef{{Name: "greeter-tls"}}},
	}
	must(t, cluster.Put(ctx, exs))
	condition, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonListenerNotReady)
	must(t, err)
	t.Log(condition.Message)
	if !strings.Contains(condition.Message, "greeter-tls") {
		t.Errorf("the condition does not name the Secret: %s", condition.Message)
	}

	certificate, key, roots := selfSigned(t, scene.Host)
	must(t, cluster.Put(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: "greeter-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}))
	must(t, cluster.UntilExposed(ctx, exs))
	untilAllAnswered(ctx, t, exs, func(config *load.Config) {
		config.TLS = &tls.Config{RootCAs: roots, ServerName: scene.Host, MinVersion: tls.VersionTLS12}
	})
	report := answers(ctx, t, exs, func(config *load.Config) {
		config.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: scene.Host, MinVersion: tls.VersionTLS12}
	})
	if report.Failed != report.Total {
		t.Errorf("%d of %d calls succeeded without trust in the certificate", report.Total-report.Failed, report.Total)
	}
}

// TestRulesDecideWhatIsExposed: what no match takes is refused by the Gateway.
func TestRulesDecideWhatIsExposed(t *testing.T) {
	ctx, space := apart(t, "rules")
	exs := scene.ExposedService(space, "greeter", primary)
	exs.Spec.Rules = []v1alpha1.Rule{{Matches: []v1alpha1.Match{{
		Service: ptr.To("helloworld.Greeter"), Method: ptr.To("SayHello"),
		Headers: []v1alpha1.HeaderMatch{{Name: "x-tenant", Value: "gold"}},
	}}}}
	must(t, cluster.Put(ctx, exs))
	must(t, cluster.UntilExposed(ctx, exs))

	gold := func(config *load.Config) { config.Metadata = map[string][]string{"x-tenant": {"gold"}} }
	untilAllAnswered(ctx, t, exs, gold)
	for what, call := range map[string]func(*load.Config){
		"without the header":      nil,
		"another header's value":  func(config *load.Config) { config.Metadata = map[string][]string{"x-tenant": {"tin"}} },
		"another method":          func(config *load.Config) { gold(config); config.Method = load.Stream },
		"a host that isn't named": func(config *load.Config) { gold(config); config.Authority = "other.example.com" },
	} {
		if report := answers(ctx, t, exs, call); report.ByCode[codes.Unimplemented] != report.Total {
			t.Errorf("%s: want UNIMPLEMENTED for all %d calls, got %v", what, report.Total, report.ByCode)
		}
	}
}

// TestSharedGateway: a Gateway in another namespace, with and without its owner's leave to patch.
func TestSharedGateway(t *testing.T) {
	ctx, space := apart(t, "shared")
	infra := space + "-infra"
	must(t, cluster.MakeNamespace(ctx, infra))
	t.Cleanup(func() { must(t, cluster.RemoveNamespace(context.Background(), infra)) })
	must(t, cluster.Put(ctx, &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: infra, Name: "public"},
		Spec: gwapiv1.GatewaySpec{GatewayClassName: scene.ClassName, Listeners: []gwapiv1.Listener{{
			Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType,
			AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
		}}},
	}))
	must(t, cluster.Deploy(ctx, space, scene.App{Name: backup, Replicas: 1}))
	exs := scene.ExposedService(space, "greeter", primary, backup)
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: &infra}}
	must(t, cluster.Put(ctx, exs))
	_, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	must(t, err)
	condition, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPatchNotPermitted)
	must(t, err)
	t.Log(condition.Message)

	// The condition's own words, carried out.
	must(t, cluster.Put(ctx, &gwapiv1.ReferenceGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: infra, Name: "headgate"},
		Spec: gwapiv1.ReferenceGrantSpec{
			From: []gwapiv1.ReferenceGrantFrom{{Group: "headgate.dev", Kind: "ExposedService", Namespace: gwapiv1.Namespace(space)}},
			To:   []gwapiv1.ReferenceGrantTo{{Group: egv1a1.GroupName, Kind: egv1a1.KindEnvoyPatchPolicy}},
		},
	}))
	_, err = cluster.UntilCondition(ctx, exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPriorities)
	must(t, err)
	must(t, cluster.UntilExposed(ctx, exs))
	untilAllAnswered(ctx, t, exs, nil)

	must(t, cluster.Delete(ctx, exs))
	must(t, scene.Until(ctx, "the patch to go with its ExposedService", func(ctx context.Context) error {
		var patches egv1a1.EnvoyPatchPolicyList
		if err := cluster.List(ctx, &patches, client.InNamespace(infra)); err != nil {
			return err
		}
		if len(patches.Items) > 0 {
			return fmt.Errorf("%d are left", len(patches.Items))
		}
		return nil
	}))
	must(t, cluster.Get(ctx, client.ObjectKey{Namespace: infra, Name: "public"}, &gwapiv1.Gateway{}))
}

// TestDeletionRemovesAllAndOnlyWhatWasMade uses the cluster's own garbage collector.
func TestDeletionRemovesAllAndOnlyWhatWasMade(t *testing.T) {
	ctx, space := apart(t, "deletion")
	exs := scene.ExposedService(space, "greeter", primary)
	must(t, cluster.Put(ctx, exs))
	must(t, cluster.UntilExposed(ctx, exs))
	if left := made(ctx, t, space); len(left) == 0 {
		t.Fatal("nothing was made")
	}
	must(t, cluster.Delete(ctx, exs))
	must(t, scene.Until(ctx, "what was made to go", func(ctx context.Context) error {
		if left := made(ctx, t, space); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	}))
	must(t, cluster.Get(ctx, client.ObjectKey{Namespace: space, Name: primary}, &corev1.Service{}))
}

// made lists what carries Headgate's label in a namespace.
func made(ctx context.Context, t *testing.T, space string) []string {
	t.Helper()
	var names []string
	for _, list := range []client.ObjectList{
		&corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}, &gwapiv1.GatewayList{}, &gwapiv1.GRPCRouteList{}, &egv1a1.BackendList{},
		&egv1a1.EnvoyProxyList{}, &egv1a1.BackendTrafficPolicyList{}, &egv1a1.EnvoyPatchPolicyList{},
	} {
		must(t, cluster.List(ctx, list, client.InNamespace(space), client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}))
		names = append(names, scene.Names(list)...)
	}
	return names
}
