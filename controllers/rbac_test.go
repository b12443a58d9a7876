package controllers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/test/apiserver"
)

// TestGeneratedRoleIsEnough runs the operator with the rights of the generated ClusterRole and no
// others, through everything that it does: make, put back, remove, finalize, record events.
func TestGeneratedRoleIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	infra := apiserver.Namespace(t, w.kube)
	w.create(w.sharedGateway(infra, "public"), grantPatch(infra, w.namespace))
	forbidden := w.mayDo(generatedRules(t))
	o := w.startOperator(alsoIn(infra), resolvingBy(dns{"203.0.113.7"}))

	owned, attached := w.exposedService("owned"), w.exposedService("attached", on(infra, "public", "grpc"))
	attached.Spec.Backends = append(attached.Spec.Backends, v1alpha1.Backend{Name: "far", FQDN: &v1alpha1.FQDNBackend{Hostname: "far.example.com", Port: 443}})
	w.create(owned, attached)
	w.untilReady(owned)
	w.untilReady(attached)
	w.delete(w.made(owned)["GRPCRoute owned"])
	w.eventually("the route is back", func() error {
		if w.made(owned)["GRPCRoute owned"] == nil {
			return errors.New("not yet")
		}
		return nil
	})
	edit(w, owned, func(exs *v1alpha1.ExposedService) { exs.Spec.Backends = exs.Spec.Backends[:1] })
	w.eventually("the event Removed", func() error {
		if len(w.eventNotes(owned, kube.ReasonRemoved)) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	w.delete(attached)
	w.eventually("the finalizer is taken away", func() error { return gone(w, attached) })
	w.untilQuiet(o)
	o.stop()
	for _, request := range forbidden.all {
		t.Errorf("forbidden: %s", request)
	}
}

// mayDo gives whoever starts next these rights and no others, and notes what the API server does not allow.
func (w *world) mayDo(rules []rbacv1.PolicyRule) *forbiddenRequests {
	w.t.Helper()
	user := "headgate-in-" + w.namespace
	w.create(
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		},
	)
	w.config = rest.CopyConfig(w.config)
	w.config.Impersonate = rest.ImpersonationConfig{UserName: user}
	forbidden := &forbiddenRequests{}
	w.config.Wrap(func(next http.RoundTripper) http.RoundTripper { forbidden.next = next; return forbidden })
	return forbidden
}

// TestGeneratedRoleIsEnoughForARollout: promoted and rolled back, inside and apart, scaled to zero without a history, and deleted.
func TestGeneratedRoleIsEnoughForARollout(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		forbidden := s.mayDo(generatedRules(s.t))
		edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.RevisionHistoryLimit = ptr.To[int32](0) })
		o := s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(1)
		s.untilPods("app:1 1, app:2 1")
		s.scale(0)
		s.untilPods("")
		s.untilPhase(v1alpha1.RolloutSuspended)
		s.scale(2)
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.approve()
		s.promoted("app:2")
		s.ship("app:3")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.say(v1alpha1.AnnotationAbort, s.exs.Status.Rollout.Revision)
		s.until("it is rolled back", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
		s.nothingIsLeft()
		s.delete(s.exs)
		s.eventually("it is gone", func() error { return gone(s.world, s.exs) })
		s.untilQuiet(o)
		o.stop()
		for _, request := range forbidden.all {
			s.t.Errorf("forbidden: %s", request)
		}
	}, approvingFirst, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.WorkloadRef.ProtectService = ptr.To(true) })
}

// A right that is missing is said in the API server's words, and nothing is decided without it.
func TestARightThatIsMissingIsSaid(t *testing.T) {
	for verb, about := range map[string]string{"list": "replicasets", "create": "replicasets"} {
		t.Run(verb, func(t *testing.T) {
			s := newShipper(t)
			rules := generatedRules(t)
			for i := range rules {
				if slices.Contains(rules[i].Resources, about) {
					rules[i].Verbs = slices.DeleteFunc(slices.Clone(rules[i].Verbs), func(v string) bool { return v == verb })
				}
			}
			s.mayDo(rules)
			s.open()
			s.expose()
			s.ship("app:2")
			s.eventually("it is said", func() error {
				if err := s.read(s.exs); err != nil {
					return err
				}
				if !slices.ContainsFunc(s.exs.Status.Conditions, func(c metav1.Condition) bool {
					return c.Type == v1alpha1.ConditionProgressing && strings.Contains(c.Message, "cannot "+verb+" resource") && strings.Contains(c.Message, about)
				}) {
					return errors.New(describe(s.exs.Status.Conditions))
				}
				return nil
			})
			if has(s.exs, v1alpha1.DecisionStepStarted) {
				t.Errorf("there were %v", reasonsOf(s.exs))
			}
		})
	}
}

// A namespace that is watched alone may lose the RoleBinding before what it was for has ended.
func TestAWatchedNamespaceEndsWithoutItsRoleBinding(t *testing.T) {
	w := newWorld(t).withDataPlane()
	w.withPods()
	role, clusterWide := "headgate-in-"+w.namespace, "headgate-cluster-"+w.namespace
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	refTo := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	operator := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: role}}
	// As the chart has it with watchNamespaces.
	rules := []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"exposedservices"}, Verbs: []string{"patch"}}}
	for _, rule := range generatedRules(t) {
		if slices.ContainsFunc(rule.Resources, func(resource string) bool {
			return slices.Contains([]string{"customresourcedefinitions", "gatewayclasses", "namespaces", "nodes", "servicecidrs"}, resource)
		}) {
			rules = append(rules, rule)
		}
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: w.namespace}, RoleRef: refTo(role), Subjects: operator}
	w.create(
		&rbacv1.ClusterRole{ObjectMeta: named(role), Rules: generatedRules(t)}, binding,
		&rbacv1.ClusterRole{ObjectMeta: named(clusterWide), Rules: rules},
		&rbacv1.ClusterRoleBinding{ObjectMeta: named(clusterWide), RoleRef: refTo(clusterWide), Subjects: operator},
	)
	w.config.Impersonate = rest.ImpersonationConfig{UserName: role}
	w.startOperator()
	deployment := w.deployment("primary-svc")
	w.create(deployment)
	exs := w.exposedService("greeter", shipping(deployment.Name))
	w.create(exs)
	w.untilHeld(exs, deployment)

	w.delete(&corev1.Namespace{ObjectMeta: named(w.namespace)})
	w.delete(binding)
	w.eventually("the operator may no longer write there", func() error {
		return w.mayNot(role, "patch", "apps", "deployments")
	})
	w.delete(exs)
	w.eventually("the ExposedService is gone", func() error { return gone(w, exs) })
}

// mayNot fails while a user has a right in the world's namespace.
func (w *world) mayNot(user, verb, group, resource string) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: w.namespace, Verb: verb, Group: group, Resource: resource},
	}}
	if err := w.kube.Create(w.t.Context(), review); err != nil {
		return err
	}
	if review.Status.Allowed {
		return fmt.Errorf("%s may %s %s", user, verb, resource)
	}
	return nil
}

// TestGeneratedRoleIsNotMore: no wildcards, no Secrets, nothing that gives rights to others.
func TestGeneratedRoleIsNotMore(t *testing.T) {
	for _, rule := range generatedRules(t) {
		for _, word := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
			for _, w := range word {
				if w == "*" || w == "secrets" || w == "escalate" || w == "bind" || w == "impersonate" || w == "deletecollection" {
					t.Errorf("%+v", rule)
				}
			}
		}
	}
}

// generatedRules are the rules of the ClusterRole in config/rbac/role.yaml.
func generatedRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role rbacv1.ClusterRole
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			t.Fatal("config/rbac/role.yaml has no ClusterRole")
		} else if err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			return role.Rules
		}
	}
}

// forbiddenRequests notes what the API server does not allow.
type forbiddenRequests struct {
	next http.RoundTripper
	mu   sync.Mutex
	all  []string
}

// RoundTrip implements http.RoundTripper.
func (f *forbiddenRequests) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := f.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusForbidden {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = append(f.all, fmt.Sprintf("%s %s", request.Method, request.URL.Path))
	}
	return response, err
}
