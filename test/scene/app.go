package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/grpcapp/server"
)

// Ports of the sample application.
const (
	GRPCPort    = 50051
	ControlPort = 8080
)

// GreeterImage is the sample application's image: GREETER_IMAGE, or the one that the local cluster
// is given.
func GreeterImage() string {
	if image := os.Getenv("GREETER_IMAGE"); image != "" {
		return image
	}
	return "ghcr.io/headgate/greeter:dev"
}

// App is a Deployment of the sample application with a Service of the same name.
type App struct {
	Name     string
	Replicas int32
	// Args are further flags of the greeter.
	Args []string
}

func (a App) objects(namespace string) []client.Object {
	labels := map[string]string{"app": a.Name}
	meta := metav1.ObjectMeta{Name: a.Name, Namespace: namespace}
	deployment := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To(a.Replicas),
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: ptr.To(int64(10)),
				Containers:                    []corev1.Container{a.container()},
			},
		},
	}}
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Selector: labels,
		Ports:    []corev1.ServicePort{{Name: "grpc", Port: GRPCPort, TargetPort: intstr.FromString("grpc")}},
	}}
	return []client.Object{deployment, service}
}

func (a App) container() corev1.Container {
	return corev1.Container{
		Name: "greeter", Image: GreeterImage(), ImagePullPolicy: corev1.PullIfNotPresent, Args: a.Args,
		Env: []corev1.EnvVar{
			{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		},
		Ports: []corev1.ContainerPort{{Name: "grpc", ContainerPort: GRPCPort}, {Name: "control", ContainerPort: ControlPort}},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: GRPCPort, Service: ptr.To(server.ReadinessService)}},
			PeriodSeconds: 1, FailureThreshold: 1,
		},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m")}},
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot: ptr.To(true), AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

// Deploy makes applications and waits until they are ready.
func (c *Cluster) Deploy(ctx context.Context, namespace string, apps ...App) error {
	for _, app := range apps {
		if err := c.Put(ctx, app.objects(namespace)...); err != nil {
			return err
		}
	}
	for _, app := range apps {
		if err := c.UntilReady(ctx, namespace, app.Name); err != nil {
			return err
		}
	}
	return nil
}

// Scale gives an application so many replicas, and does not wait for them.
func (c *Cluster) Scale(ctx context.Context, namespace, app string, replicas int32) error {
	return c.patch(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}},
		`{"spec":{"replicas":`+strconv.Itoa(int(replicas))+`}}`)
}

func (c *Cluster) patch(ctx context.Context, object client.Object, patch string) error {
	if err := c.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("patch %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// PortNames are the names of the ports of an application's Service: of that for calls, which may be empty if it is the only one,
// and of one more for orders; empty: there is none.
type PortNames struct {
	Calls, Orders string
	// Numbers: the targets are numbers instead of names.
	Numbers bool
}

// NamePorts gives the Service of an application other names for its ports.
func (c *Cluster) NamePorts(ctx context.Context, namespace, app string, names PortNames) error {
	port := func(name, target string, number int32) corev1.ServicePort {
		out := corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromString(target)}
		if names.Numbers {
			out.TargetPort = intstr.FromInt32(number)
		}
		return out
	}
	ports := []corev1.ServicePort{port(names.Calls, "grpc", GRPCPort)}
	if names.Orders != "" {
		ports = append(ports, port(names.Orders, "control", ControlPort))
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ports": ports}})
	if err != nil {
		return err
	}
	return c.patch(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}}, string(patch))
}

// UntilReady waits until an application has as many ready pods as it wants, all of the newest
// template, and no others.
func (c *Cluster) UntilReady(ctx context.Context, namespace, app string) error {
	return Until(ctx, "the pods of "+app, func(ctx context.Context) error {
		var deployment appsv1.Deployment
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: app}, &deployment); err != nil {
			return err
		}
		want, status := *deployment.Spec.Replicas, deployment.Status
		if status.ObservedGeneration < deployment.Generation || status.ReadyReplicas != want ||
			status.UpdatedReplicas != want || status.Replicas != want {
			return fmt.Errorf("%w: %d of %d ready, %d of the newest template, %d in all",
				errNotYet, status.ReadyReplicas, want, status.UpdatedReplicas, status.Replicas)
		}
		return nil
	})
}

// Pods are the names of an application's pods that are not being deleted.
func (c *Cluster) Pods(ctx context.Context, namespace, app string) ([]string, error) {
	pods, err := c.livePods(ctx, namespace, app)
	names := make([]string, len(pods))
	for i := range pods {
		names[i] = pods[i].Name
	}
	return names, err
}

// livePods are an application's pods that are not being deleted.
func (c *Cluster) livePods(ctx context.Context, namespace, app string) ([]corev1.Pod, error) {
	return c.livePodsBy(ctx, namespace, labelsOf(app))
}

// livePodsBy are the pods with the labels that are not being deleted.
func (c *Cluster) livePodsBy(ctx context.Context, namespace string, labels client.MatchingLabels) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace), labels); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !pod.DeletionTimestamp.IsZero() }), nil
}

// labelsOf are those of an application's pods.
func labelsOf(app string) client.MatchingLabels { return client.MatchingLabels{"app": app} }

// RemoveService deletes the Service of an application; its pods stay.
func (c *Cluster) RemoveService(ctx context.Context, namespace, app string) error {
	return c.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}})
}
