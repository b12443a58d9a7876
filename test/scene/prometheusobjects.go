package scene

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// headgateMetricsPort and metricsReader are where the chart serves metrics, and the ClusterRole of those who may read them.
	headgateMetricsPort = 8443
	metricsReader       = "headgate-metrics-reader"
	// serviceAccountToken is where a pod finds the token of its ServiceAccount.
	serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path
)

// headgateLabels are those of Headgate's pods.
var headgateLabels = map[string]string{"app.kubernetes.io/name": "headgate"}

// objects are the server, what lets it find its targets (a headless Service for each job, whose name has
// the addresses of all pods), and what lets it and Headgate reach each other.
func (p PrometheusConfig) objects(namespace *corev1.Namespace) ([]client.Object, error) {
	config, err := yaml.Marshal(p.configuration())
	if err != nil {
		return nil, err
	}
	own := metav1.ObjectMeta{Namespace: p.Namespace, Name: PrometheusApp}
	labels := map[string]string{"app": PrometheusApp}
	out := []client.Object{
		&corev1.ServiceAccount{ObjectMeta: own},
		&corev1.ConfigMap{ObjectMeta: own, Data: map[string]string{"prometheus.yml": string(config), "rules.yml": p.Rules}},
		&appsv1.Deployment{ObjectMeta: own, Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: prometheusPod()},
		}},
		&corev1.Service{ObjectMeta: own, Spec: corev1.ServiceSpec{
			Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: prometheusPort}},
		}},
	}
	for _, app := range p.Apps {
		meta := metav1.ObjectMeta{Namespace: p.Namespace, Name: podsOf(app)}
		out = append(out, headless(meta, map[string]string{"app": app}))
	}
	if p.WithoutHeadgate {
		return out, nil
	}
	elsewhere := p.elsewhere(namespace)
	return append(out,
		headless(elsewhere, headgateLabels),
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: elsewhere.Name, OwnerReferences: elsewhere.OwnerReferences},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: metricsReader},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: p.Namespace, Name: PrometheusApp}},
		},
		// The chart's own NetworkPolicy lets Headgate out to the API server and the proxies only.
		wayOut(elsewhere, p.Namespace),
	), nil
}

// elsewhere is the name of what is made outside of the server's namespace. The namespace owns it, so
// that it goes with it.
func (p PrometheusConfig) elsewhere(namespace *corev1.Namespace) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: HeadgateNamespace, Name: PrometheusApp + "-" + p.Namespace,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID}},
	}
}

func podsOf(app string) string { return app + "-pods" }

// headless is a Service whose name has the addresses of all pods, ready or not.
func headless(meta metav1.ObjectMeta, selector map[string]string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Selector: selector, PublishNotReadyAddresses: true,
	}}
}

func prometheusPod() corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName:            PrometheusApp,
		TerminationGracePeriodSeconds: ptr.To(int64(1)), // nothing that it has scraped is kept
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(65534)), FSGroup: ptr.To(int64(65534)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "prometheus", Image: PrometheusImage(), ImagePullPolicy: corev1.PullIfNotPresent,
			Command: []string{"/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"},
			Ports:   []corev1.ContainerPort{{Name: "http", ContainerPort: prometheusPort}},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/-/ready", Port: intstr.FromString("http")}},
				PeriodSeconds: 1,
			},
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/prometheus"}, {Name: "data", MountPath: "/prometheus"}},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: PrometheusApp},
			}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

// settings is a part of Prometheus's configuration file.
type settings map[string]any

// configuration scrapes each application as the Prometheus operator would, with the labels namespace
// and service, and Headgate as docs/install.md asks for.
func (p PrometheusConfig) configuration() settings {
	const interval = "1s"
	var jobs []settings
	for _, app := range p.Apps {
		jobs = append(jobs, settings{
			"job_name":       app,
			"dns_sd_configs": discovery(podsOf(app), p.Namespace, ControlPort),
			"relabel_configs": []settings{
				{"target_label": "namespace", "replacement": p.Namespace},
				{"target_label": "service", "replacement": app},
			},
		})
	}
	if p.Discovery != "" {
		jobs = append(jobs, settings{
			"job_name":        "discovered",
			"http_sd_configs": []settings{{"url": p.Discovery, "refresh_interval": interval}},
		})
	}
	if !p.WithoutHeadgate {
		jobs = append(jobs, p.headgate())
	}
	return settings{
		"global":         settings{"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
		"rule_files":     []string{"/etc/prometheus/rules.yml"},
		"scrape_configs": jobs,
	}
}

// headgate scrapes all of its replicas.
func (p PrometheusConfig) headgate() settings {
	return settings{
		"job_name":       "headgate",
		"dns_sd_configs": discovery(p.elsewhere(&corev1.Namespace{}).Name, HeadgateNamespace, headgateMetricsPort),
		"honor_labels":   true,
		"scheme":         "https",
		"authorization":  settings{"credentials_file": serviceAccountToken},
		"tls_config":     settings{"insecure_skip_verify": true},
	}
}

// discovery finds the addresses that the name of a headless Service has.
func discovery(service, namespace string, port int) []settings {
	return []settings{{
		"names": []string{fmt.Sprintf("%s.%s.svc.cluster.local", service, namespace)},
		"type":  "A", "port": port, "refresh_interval": "1s",
	}}
}
