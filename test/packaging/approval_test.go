package packaging

import (
	"context"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
)

// releases is a group that may approve.
const releases = "release managers <eu> & \"us\""

// people are clients that act for somebody.
type people map[string]client.Client

// employ lets people act in a namespace: a deployer, who has what the role edit of Kubernetes has of ExposedServices, an approver, somebody of the
// group, and Headgate.
func employ(t *testing.T, kube client.Client, namespace string, roles objects) people {
	t.Helper()
	out := people{}
	for user, test := range map[string]struct {
		role  string
		group string
	}{
		"deployer": {role: "editor"},
		"approver": {role: "approver"},
		"manager":  {role: "editor", group: releases},
		"system:serviceaccount:headgate-system:headgate": {role: "editor"},
	} {
		role := convert[rbacv1.ClusterRole](t, roles.get(t, "ClusterRole headgate-"+test.role))
		role.ResourceVersion, role.AggregationRule = "", nil
		if err := kube.Create(t.Context(), role); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}
		if err := kube.Create(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
		config := apiserver.Config(t)
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
		if test.group != "" {
			config.Impersonate.Groups = append(config.Impersonate.Groups, test.group)
		}
		as, err := client.New(config, client.Options{Scheme: apiserver.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		out[user[strings.LastIndex(user, ":")+1:]] = as
	}
	return out
}

func shipped(namespace string, annotations map[string]string) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "headgate.dev/v1alpha1", "kind": "ExposedService",
		"metadata": map[string]any{"namespace": namespace, "name": "greeter"},
		"spec": map[string]any{
			"gateway":  map[string]any{"className": "envoy-gateway"},
			"backends": []any{map[string]any{"name": "primary", "service": map[string]any{"name": "greeter", "port": int64(50051)}}},
			"rollout": map[string]any{
				"workloadRef": map[string]any{"name": "greeter"},
				"steps":       []any{map[string]any{"weight": int64(10), "approval": "Required"}, map[string]any{"weight": "50"}},
			},
		},
	}}
	out.SetAnnotations(annotations)
	return out
}

// write is one that somebody makes.
type write func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error

func patch(text string) write {
	return func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error {
		t.Helper()
		return as.Patch(t.Context(), exs, client.RawPatch("application/merge-patch+json", []byte(text)))
	}
}

func update(change func(exs *unstructured.Unstructured)) write {
	return func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error {
		t.Helper()
		change(exs)
		return as.Update(t.Context(), exs)
	}
}

// apply is what a GitOps tool does, which takes over what others have written.
func apply(annotations map[string]string) write {
	return func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error {
		t.Helper()
		return as.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(shipped(exs.GetNamespace(), annotations)), client.FieldOwner("gitops"), client.ForceOwnership)
	}
}

func create(annotations map[string]string) write {
	return func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error {
		t.Helper()
		if err := as.Delete(t.Context(), exs); err != nil {
			t.Fatal(err)
		}
		return as.Create(t.Context(), shipped(exs.GetNamespace(), annotations))
	}
}

func annotated(name, value string) write {
	return update(func(exs *unstructured.Unstructured) {
		annotations := exs.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[name] = value
		exs.SetAnnotations(annotations)
	})
}

func TestOnlyApproversApproveWhereThePolicySaysSo(t *testing.T) {
	kube := apiserver.Client(t)
	rendered := render(t, "--set", "rollouts.approval.restrict=true", "--set-json", `rollouts.approval.groups=["release managers <eu> & \"us\""]`)
	namespace := apiserver.Namespace(t, kube)
	for _, name := range []string{"ValidatingAdmissionPolicy headgate-approvals", "ValidatingAdmissionPolicyBinding headgate-approvals"} {
		if err := kube.Create(t.Context(), rendered.get(t, name)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := kube.Delete(context.Background(), rendered[name]); err != nil {
				t.Error(err)
			}
		})
	}
	staff := employ(t, kube, namespace, rendered)
	fresh := func(t *testing.T, annotations map[string]string) *unstructured.Unstructured {
		t.Helper()
		exs := shipped(namespace, annotations)
		if err := client.IgnoreNotFound(kube.Delete(t.Context(), shipped(namespace, nil))); err != nil {
			t.Fatal(err)
		}
		if err := kube.Create(t.Context(), exs, client.FieldOwner("approver")); err != nil {
			t.Fatal(err)
		}
		return exs
	}
	// The API server takes new policies and bindings in at its time.
	exs := fresh(t, nil)
	inForce := func() error {
		for user, want := range map[string]bool{"deployer": false, "approver": true, "manager": true, "headgate": true} {
			probe := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"headgate.dev/approve":"probe/1"}}}`))
			if err := staff[user].Patch(t.Context(), exs.DeepCopy(), probe, client.DryRunAll); (err == nil) != want {
				return &unexpected{user, err}
			}
		}
		return nil
	}
	if err := apiserver.Poll(t.Context(), time.Minute, inForce); err != nil {
		t.Fatal("the policy is not in force: ", err)
	}

	approved := map[string]string{v1alpha1.AnnotationApprove: "5362ffc649/1"}
	for name, test := range map[string]struct {
		who     string
		has     map[string]string
		does    write
		refused bool
	}{
		"the deployer approves":                                  {"deployer", nil, annotated(v1alpha1.AnnotationApprove, "5362ffc649/1"), true},
		"the deployer promotes":                                  {"deployer", nil, annotated(v1alpha1.AnnotationPromote, "5362ffc649"), true},
		"the deployer skips":                                     {"deployer", nil, annotated(v1alpha1.AnnotationSkip, "5362ffc649/1"), true},
		"the deployer approves by a patch":                       {"deployer", nil, patch(`{"metadata":{"annotations":{"headgate.dev/approve":"5362ffc649/1"}}}`), true},
		"the deployer approves by server-side apply":             {"deployer", nil, apply(approved), true},
		"the deployer moves an approval":                         {"deployer", approved, annotated(v1alpha1.AnnotationApprove, "5362ffc649/2"), true},
		"the deployer moves an approval by server-side apply":    {"deployer", approved, apply(map[string]string{v1alpha1.AnnotationApprove: "5362ffc649/2"}), true},
		"the deployer makes a skip of an approval":               {"deployer", approved, annotated(v1alpha1.AnnotationSkip, "5362ffc649/1"), true},
		"the deployer makes one that is approved":                {"deployer", nil, create(approved), true},
		"the deployer takes an approval out of the steps":        {"deployer", nil, patch(`{"spec":{"rollout":{"steps":[{"weight":10},{"weight":"50"}]}}}`), true},
		"the deployer removes the steps":                         {"deployer", nil, patch(`{"spec":{"rollout":{"steps":null}}}`), true},
		"the deployer removes the rollout":                       {"deployer", nil, patch(`{"spec":{"rollout":null}}`), true},
		"the deployer aborts":                                    {"deployer", nil, annotated(v1alpha1.AnnotationAbort, "5362ffc649"), false},
		"the deployer retries":                                   {"deployer", nil, annotated(v1alpha1.AnnotationRetry, "1"), false},
		"the deployer pauses":                                    {"deployer", approved, patch(`{"spec":{"rollout":{"paused":true}}}`), false},
		"the deployer changes something else":                    {"deployer", nil, patch(`{"spec":{"hostnames":["greeter.example.com"]}}`), false},
		"the deployer changes something else beside an approval": {"deployer", approved, patch(`{"spec":{"hostnames":["greeter.example.com"]}}`), false},
		"the deployer applies the same approval":                 {"deployer", approved, apply(approved), false},
		"the deployer withdraws an approval":                     {"deployer", approved, patch(`{"metadata":{"annotations":{"headgate.dev/approve":null}}}`), false},
		"the deployer withdraws an approval by an empty value":   {"deployer", approved, annotated(v1alpha1.AnnotationApprove, ""), false},
		"the deployer makes one that is not approved":            {"deployer", approved, create(nil), false},
		"the deployer deletes one that is approved": {"deployer", approved, func(t *testing.T, as client.Client, exs *unstructured.Unstructured) error {
			t.Helper()
			return as.Delete(t.Context(), exs)
		}, false},
		"the approver approves":              {"approver", nil, patch(`{"metadata":{"annotations":{"headgate.dev/approve":"5362ffc649/1"}}}`), false},
		"the approver moves an approval":     {"approver", approved, patch(`{"metadata":{"annotations":{"headgate.dev/approve":"5362ffc649/2"}}}`), false},
		"the approver changes the steps":     {"approver", nil, patch(`{"spec":{"rollout":{"steps":[{"weight":10}]}}}`), false},
		"one of the group promotes":          {"manager", nil, annotated(v1alpha1.AnnotationPromote, "5362ffc649"), false},
		"one of the group makes it approved": {"manager", nil, create(approved), false},
		"Headgate sets its finalizer":        {"headgate", approved, patch(`{"metadata":{"finalizers":["headgate.dev/cleanup"]}}`), false},
		"Headgate writes whatever it wants":  {"headgate", nil, annotated(v1alpha1.AnnotationPromote, "5362ffc649"), false},
	} {
		t.Run(name, func(t *testing.T) {
			exs := fresh(t, test.has)
			err := test.does(t, staff[test.who], exs)
			switch {
			case !test.refused && err != nil:
				t.Error(err)
			case test.refused && !apierrors.IsForbidden(err):
				t.Errorf("it went through, or something else was wrong: %v", err)
			case test.refused:
				for _, words := range []string{"deployer may not approve rollouts in namespace " + namespace, "the verb approve", "headgate-approver"} {
					if !strings.Contains(err.Error(), words) {
						t.Errorf("%q does not say %q", err, words)
					}
				}
			}
			if test.who == "headgate" {
				_ = patch(`{"metadata":{"finalizers":null}}`)(t, kube, shipped(namespace, nil))
			}
		})
	}
}

// unexpected is what became of a write of somebody's.
type unexpected struct {
	who string
	err error
}

func (u *unexpected) Error() string {
	if u.err == nil {
		return u.who + " may approve"
	}
	return u.who + " may not approve: " + u.err.Error()
}
