package scene

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/xds"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
)

// EnvoyImage is the image of an Envoy of one's own: ENVOY_IMAGE, or the one that the local cluster has
// for Envoy Gateway.
func EnvoyImage() string {
	if image := os.Getenv("ENVOY_IMAGE"); image != "" {
		return image
	}
	return "docker.io/envoyproxy/envoy:distroless-v1.40.0"
}

// LoadThroughOwnEnvoy starts an Envoy of one's own, as a pod in the namespace of an ExposedService, and returns the
// configuration of live calls through it.
func (c *Cluster) LoadThroughOwnEnvoy(ctx context.Context, exs *v1alpha1.ExposedService, certificate *corev1.Secret, rate float64) (load.Config, error) {
	pod, err := c.StartOwnEnvoy(ctx, exs, certificate)
	if err != nil {
		return load.Config{}, err
	}
	config := xdsLoad(rate)
	config.Target, config.Authority = net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(XDSPort)), string(exs.Spec.Hostnames[0])
	return config, nil
}

// StartOwnEnvoy starts an Envoy with what `kubectl headgate bootstrap envoy` prints, perhaps changed, as a pod in the namespace of an
// ExposedService, and waits until it listens.
func (c *Cluster) StartOwnEnvoy(
	ctx context.Context, exs *v1alpha1.ExposedService, certificate *corev1.Secret, changes ...func(files map[string]string),
) (*corev1.Pod, error) {
	printed, err := printBootstrap(ctx, "envoy", exs)
	if err != nil {
		return nil, err
	}
	var files corev1.ConfigMap
	if err := yaml.UnmarshalStrict(printed, &files); err != nil {
		return nil, fmt.Errorf("what kubectl headgate bootstrap envoy printed: %w", err)
	}
	for _, change := range changes {
		change(files.Data)
	}
	pod := ownEnvoy(exs, files.Name, certificate.Name)
	for _, object := range []client.Object{&files, certificate, pod} {
		if err := c.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	return pod, Until(ctx, "the Envoy of "+exs.Name+" to listen", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("%w: %+v", errNotYet, pod.Status.ContainerStatuses)
	})
}

func ownEnvoyName(exs *v1alpha1.ExposedService) string { return exs.Name + "-envoy" }

func ownEnvoyLabels(exs *v1alpha1.ExposedService) map[string]string {
	return map[string]string{"app": ownEnvoyName(exs)}
}

// PublishOwnEnvoy gives the Envoy of LoadThroughOwnEnvoy an address outside the cluster's network, as host:port.
func (c *Cluster) PublishOwnEnvoy(ctx context.Context, exs *v1alpha1.ExposedService) (string, error) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: ownEnvoyName(exs)},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: ownEnvoyLabels(exs),
			Ports: []corev1.ServicePort{{Name: "grpc", Port: XDSPort, TargetPort: intstr.FromInt32(XDSPort)}},
		},
	}
	if err := c.Create(ctx, service); err != nil {
		return "", err
	}
	host := ""
	err := Until(ctx, "an address of Service "+service.Name, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return err
		}
		for _, ingress := range service.Status.LoadBalancer.Ingress {
			if host = ingress.IP + ingress.Hostname; host != "" {
				return nil
			}
		}
		return errNotYet
	})
	return net.JoinHostPort(host, strconv.Itoa(XDSPort)), err
}

// RemoveOwnEnvoy removes what LoadThroughOwnEnvoy and PublishOwnEnvoy have made; nothing happens if there is none.
func (c *Cluster) RemoveOwnEnvoy(ctx context.Context, exs *v1alpha1.ExposedService) error {
	meta := metav1.ObjectMeta{Namespace: exs.Namespace, Name: ownEnvoyName(exs)}
	for _, object := range []client.Object{
		&corev1.Service{ObjectMeta: meta}, &corev1.ConfigMap{ObjectMeta: meta}, &corev1.Pod{ObjectMeta: meta},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: xdsClientSecret}},
	} {
		if err := client.IgnoreNotFound(c.Delete(ctx, object, client.GracePeriodSeconds(0))); err != nil {
			return err
		}
	}
	return nil
}

// ownEnvoy is an Envoy that listens as soon as Headgate has told it to.
func ownEnvoy(exs *v1alpha1.ExposedService, files, certificate string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: ownEnvoyName(exs), Labels: ownEnvoyLabels(exs)},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To(int64(1)),
			Containers: []corev1.Container{{
				Name: "envoy", Image: EnvoyImage(), ImagePullPolicy: corev1.PullIfNotPresent,
				Command: []string{"/usr/local/bin/envoy"},
				Args:    []string{"--config-path", "/etc/headgate-envoy/envoy.yaml", "--concurrency", "2"},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(XDSPort)}},
					PeriodSeconds: 1,
				},
				// As Envoy Gateway's have: without a request it would get what all others leave.
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "files", MountPath: "/etc/headgate-envoy"}, {Name: "certificate", MountPath: "/var/run/headgate-xds"},
				},
			}},
			Volumes: []corev1.Volume{
				{Name: "files", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
					LocalObjectReference: corev1.LocalObjectReference{Name: files},
				}}},
				{Name: "certificate", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: certificate}}},
			},
		},
	}
}

// LoadWithoutProxy is the configuration of live calls of a gRPC client without a proxy, with what `kubectl
// headgate bootstrap grpc` prints. The client is this process, which keeps the certificate in a directory.
func (c *Cluster) LoadWithoutProxy(ctx context.Context, exs *v1alpha1.ExposedService, certificate *corev1.Secret, directory string, rate float64) (load.Config, error) {
	file := func(key string) string { return filepath.Join(directory, key) }
	for key, text := range certificate.Data {
		if err := os.WriteFile(file(key), text, 0o600); err != nil {
			return load.Config{}, err
		}
	}
	const server = "headgate-xds." + HeadgateNamespace + ".svc.cluster.local:18000"
	printed, err := printBootstrap(ctx, "grpc", exs, "--xds-server", server,
		"--certificate", file(corev1.TLSCertKey), "--key", file(corev1.TLSPrivateKeyKey), "--ca", file(xdsCA))
	if err != nil {
		return load.Config{}, err
	}
	// The one thing that a client in a pod need not be told: where names of the cluster are resolved.
	dns, err := c.dnsServer(ctx)
	if err != nil {
		return load.Config{}, err
	}
	printed = bytes.Replace(printed, []byte(server), []byte("dns://"+dns+"/"+server), 1)
	resolver, err := xds.NewXDSResolverWithConfigForTesting(printed)
	if err != nil {
		return load.Config{}, fmt.Errorf("what kubectl headgate bootstrap grpc printed: %w", err)
	}
	config := xdsLoad(rate)
	config.Target, config.Retry = "xds:///"+exs.Name+"."+exs.Namespace, true
	// Each channel with a resolver of its own would count as a client of its own.
	config.Connections = 1
	config.DialOptions = []grpc.DialOption{grpc.WithResolvers(resolver)}
	return config, nil
}

func xdsLoad(rate float64) load.Config {
	return load.Config{Rate: rate, Group: load.GroupByDeployment, Timeout: callTimeout, MaxInFlight: inFlight(rate)}
}

// printBootstrap is what `kubectl headgate bootstrap` prints for an ExposedService.
func printBootstrap(ctx context.Context, kind string, exs *v1alpha1.ExposedService, flags ...string) ([]byte, error) {
	return plugin(ctx, append([]string{"bootstrap", kind, exs.Name, "--namespace", exs.Namespace}, flags...)...)
}

// plugin is what the plugin of kubectl, which must be in PATH, prints.
func plugin(ctx context.Context, arguments ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "kubectl-headgate", arguments...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("kubectl headgate %s: %w: %s", strings.Join(arguments, " "), err, exit.Stderr)
	}
	return out, err
}
