package packaging

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// prometheusValues have servers of all kinds.
const prometheusValues = "prometheus.allowAddresses=true," +
	"prometheus.servers[0].name=metrics,prometheus.servers[0].url=https://prometheus.monitoring:9090,prometheus.servers[0].namespaceLabel=exported_namespace," +
	"prometheus.servers[0].tokenSecret.name=access,prometheus.servers[0].tokenSecret.key=bearer," +
	"prometheus.servers[0].caConfigMap.name=authorities,prometheus.servers[0].caConfigMap.key=ca.pem," +
	"prometheus.servers[1].name=mimir,prometheus.servers[1].url=https://mimir/prometheus?x=y," +
	"prometheus.servers[1].caSecret.name=mimir-tls,prometheus.servers[1].caSecret.key=ca.crt," +
	"prometheus.servers[2].name=plain,prometheus.servers[2].url=http://plain:9090"

// TestThePrometheusServersOfThePlatformAreArguments, and their Secrets and ConfigMaps files of the operator alone.
func TestThePrometheusServersOfThePlatformAreArguments(t *testing.T) {
	ofPrometheus := func(args []string) []string {
		return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return !strings.HasPrefix(arg, "--prometheus") })
	}
	if by := ofPrometheus(deployment(t, render(t)).Spec.Template.Spec.Containers[0].Args); len(by) != 0 {
		t.Errorf("by default there is %q", by)
	}
	pod := deployment(t, render(t, "--set", prometheusValues)).Spec.Template.Spec
	want := []string{
		"--prometheus=metrics=https://prometheus.monitoring:9090,label=exported_namespace,token-file=/etc/headgate/prometheus/metrics/token," +
			"ca-file=/etc/headgate/prometheus/metrics/ca.crt",
		"--prometheus=mimir=https://mimir/prometheus?x=y,ca-file=/etc/headgate/prometheus/mimir/ca.crt",
		"--prometheus=plain=http://plain:9090",
		"--prometheus-addresses",
	}
	if diff := cmp.Diff(want, ofPrometheus(pod.Containers[0].Args)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.VolumeMount{{Name: "prometheus", MountPath: "/etc/headgate/prometheus", ReadOnly: true}}, pod.Containers[0].VolumeMounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	secret := func(name, key, path string) corev1.VolumeProjection {
		return corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: []corev1.KeyToPath{{Key: key, Path: path}},
		}}
	}
	files := []corev1.Volume{{Name: "prometheus", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To[int32](0o440),
		Sources: []corev1.VolumeProjection{
			secret("access", "bearer", "metrics/token"),
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "authorities"}, Items: []corev1.KeyToPath{{Key: "ca.pem", Path: "metrics/ca.crt"}},
			}},
			secret("mimir-tls", "ca.crt", "mimir/ca.crt"),
		},
	}}}}
	if diff := cmp.Diff(files, pod.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	if group := pod.SecurityContext.FSGroup; group == nil || *group != *pod.SecurityContext.RunAsGroup {
		t.Error("the files belong to a group that the operator is not in")
	}
	both := deployment(t, render(t, "--set", prometheusValues+",xds.enabled=true")).Spec.Template.Spec
	if len(both.Volumes) != 2 || len(both.Containers[0].VolumeMounts) != 2 {
		t.Errorf("with xDS there are the volumes %v", both.Volumes)
	}
}

func TestWrongPrometheusServersAreRefused(t *testing.T) {
	for name, values := range map[string]string{
		"no name":                  "prometheus.servers[0].url=https://a",
		"no URL":                   "prometheus.servers[0].name=a",
		"a name that is no label":  "prometheus.servers[0].name=A_b,prometheus.servers[0].url=https://a",
		"no scheme":                "prometheus.servers[0].name=a,prometheus.servers[0].url=a:9090",
		"a password":               "prometheus.servers[0].name=a,prometheus.servers[0].url=https://me:secret@a",
		"a token in the clear":     "prometheus.servers[0].name=a,prometheus.servers[0].url=http://a,prometheus.servers[0].tokenSecret.name=b,prometheus.servers[0].tokenSecret.key=c",
		"a CA without TLS":         "prometheus.servers[0].name=a,prometheus.servers[0].url=http://a,prometheus.servers[0].caConfigMap.name=b,prometheus.servers[0].caConfigMap.key=c",
		"a Secret without its key": "prometheus.servers[0].name=a,prometheus.servers[0].url=https://a,prometheus.servers[0].tokenSecret.name=b",
		"two authorities":          "prometheus.servers[0].name=a,prometheus.servers[0].url=https://a,prometheus.servers[0].caSecret.name=b,prometheus.servers[0].caSecret.key=c,prometheus.servers[0].caConfigMap.name=b,prometheus.servers[0].caConfigMap.key=c",
		"a label that is none":     "prometheus.servers[0].name=a,prometheus.servers[0].url=https://a,prometheus.servers[0].namespaceLabel=a-b",
		"an unknown setting":       "prometheus.servers[0].name=a,prometheus.servers[0].url=https://a,prometheus.servers[0].user=me",
		"addresses of some":        "prometheus.allowAddresses=Some",
	} {
		t.Run(name, func(t *testing.T) {
			if output, err := helmTemplate(t, "--set", values); err == nil {
				t.Errorf("--set %s was accepted:\n%s", values, output)
			}
		})
	}
}
