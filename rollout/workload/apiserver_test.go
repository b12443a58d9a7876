package workload_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

const written = `
spec:
  replicas: 2
  selector: {matchLabels: {app: greeter}}
  template:
    metadata: {labels: {app: greeter}}
    spec:
      initContainers: [{name: init, image: init, envFrom: [{configMapRef: {name: c}}]}]
      containers:
      - name: greeter
        image: greeter:2
        ports: [{name: grpc, containerPort: 50051}]
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {grpc: {port: 50051}}
        livenessProbe: {httpGet: {port: grpc}}
        lifecycle: {postStart: {httpGet: {port: 1}}, preStop: {httpGet: {port: 2}}}
        resources: {requests: {cpu: 1000m}}
      volumes:
      - {name: a, configMap: {name: c}}
      - {name: b, secret: {secretName: s}}
      - {name: c}
      - {name: d, hostPath: {path: /tmp}}
      - {name: e, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
      - {name: f, projected: {sources: [{serviceAccountToken: {path: t}}, {downwardAPI: {items: [{path: pod, fieldRef: {fieldPath: metadata.name}}]}}]}}
`

// What a real API server makes of a pod template has the revision of what was written.
func TestRevisionSurvivesTheDefaultsOfTheAPIServer(t *testing.T) {
	kube := apiserver.Client(t)
	deployment := deploy(t, kube)
	if deployment.Spec.Template.Spec.DNSPolicy == "" {
		t.Fatal("the API server has added no defaults")
	}
	var asWritten appsv1.Deployment
	if err := yaml.Unmarshal([]byte(written), &asWritten); err != nil {
		t.Fatal(err)
	}
	if got, want := revision(t, deployment), revision(t, &asWritten); got != want {
		t.Errorf("%s as written, %s as read: %+v", want, got, deployment.Spec.Template)
	}
}

// A real API server takes the canary as it is built, so that Kubernetes finds the Deployment's template in it, and what is applied to the
// Deployment; it gives back what is given up.
func TestTheAPIServerTakesWhatIsBuilt(t *testing.T) {
	kube := apiserver.Client(t)
	deployment := deploy(t, kube)
	name := revision(t, deployment)
	if err := kube.Create(context.Background(), workload.Canary(deployment, name, "greeter", nil)); err != nil {
		t.Fatal(err)
	}
	var canary appsv1.ReplicaSet
	if err := kube.Get(context.Background(), client.ObjectKey{Namespace: deployment.Namespace, Name: "greeter-" + name}, &canary); err != nil {
		t.Fatal(err)
	}
	sets := []*appsv1.ReplicaSet{&canary}
	if workload.FindVersion(&deployment.Spec.Template, sets) == nil || workload.Find(&deployment.Spec.Template, sets) == nil || !metav1.IsControlledBy(&canary, deployment) {
		t.Errorf("canary: %+v", canary)
	}

	// Both may have been made in the same second.
	standIn := workload.StandIn(deployment, name, "greeter")
	if err := kube.Create(context.Background(), standIn); err != nil {
		t.Fatal(err)
	}
	standIn.CreationTimestamp = canary.CreationTimestamp
	if workload.Find(&deployment.Spec.Template, append(sets, standIn)) != standIn {
		t.Errorf("%s does not stand in for %s", standIn.Name, canary.Name)
	}

	held := workload.Owned{Mark: "greeter", Paused: ptr.To(true), Config: "0badcafe"}
	apply(t, kube, "headgate", workload.Own(deployment, held))
	var live appsv1.Deployment
	get(t, kube, deployment, &live)
	if !live.Spec.Paused || live.Spec.Template.Annotations[workload.AnnotationConfig] != "0badcafe" || *live.Spec.Replicas != 2 ||
		live.Labels[v1alpha1.LabelRollout] != "greeter" {
		t.Errorf("held: %+v", live)
	}
	if got := revision(t, &live); got != name {
		t.Errorf("holding it has changed the revision from %s to %s", name, got)
	}
	apply(t, kube, "gitops", typed(t, bare(deployment)))
	get(t, kube, deployment, &live)
	if !live.Spec.Paused {
		t.Error("somebody who applies the Deployment without paused has released it")
	}
	held.Paused, held.Version = ptr.To(false), deployment.ResourceVersion
	if err := patch(kube, "headgate", workload.Own(deployment, held)); !apierrors.IsConflict(err) {
		t.Errorf("a Deployment that has changed meanwhile is released: %v", err)
	}
	apply(t, kube, "headgate", workload.Own(deployment, workload.Owned{}))
	get(t, kube, deployment, &live)
	if live.Spec.Paused || live.Spec.Template.Annotations[workload.AnnotationConfig] != "" || live.Labels[v1alpha1.LabelRollout] != "" {
		t.Errorf("given up: %+v", live)
	}

	if err := kube.Delete(context.Background(), deployment); err != nil {
		t.Fatal(err)
	}
	if err := patch(kube, "headgate", workload.Own(deployment, held)); err == nil {
		t.Error("a Deployment that was deleted has been made again")
	}
}

func deploy(t *testing.T, kube client.Client) *appsv1.Deployment {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := yaml.Unmarshal([]byte(written), deployment); err != nil {
		t.Fatal(err)
	}
	deployment.Namespace, deployment.Name = apiserver.Namespace(t, kube), "greeter"
	if err := kube.Create(context.Background(), deployment, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	deployment.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	return deployment
}

// bare is a Deployment as a GitOps tool applies it.
func bare(deployment *appsv1.Deployment) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   deployment.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{Name: deployment.Name, Namespace: deployment.Namespace},
		Spec:       appsv1.DeploymentSpec{Selector: deployment.Spec.Selector, Template: deployment.Spec.Template},
	}
}

func revision(t *testing.T, deployment *appsv1.Deployment) string {
	t.Helper()
	out, err := workload.Revision(&deployment.Spec.Template, "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func typed(t *testing.T, object client.Object) *unstructured.Unstructured {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	delete(fields, "status")
	return &unstructured.Unstructured{Object: fields}
}

func apply(t *testing.T, kube client.Client, manager string, object *unstructured.Unstructured) {
	t.Helper()
	if err := patch(kube, manager, object); err != nil {
		t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

func patch(kube client.Client, manager string, object *unstructured.Unstructured) error {
	body, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	answer := object.DeepCopy()
	return kube.Patch(context.Background(), answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(manager), client.ForceOwnership)
}

func get(t *testing.T, kube client.Client, of client.Object, into *appsv1.Deployment) {
	t.Helper()
	*into = appsv1.Deployment{}
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(of), into); err != nil {
		t.Fatal(err)
	}
}
