package scene

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Targets is an element of what HTTP service discovery answers (https://prometheus.io/docs/prometheus/latest/http_sd/).
type Targets struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

const labelVersion = "app.kubernetes.io/version"

// TargetsOf are the pods that run, as Prometheus' discovery of Kubernetes, which the local cluster's has not, would have them: with the
// labels namespace and pod, the label app as workload, and the version.
func TargetsOf(pods []corev1.Pod) []Targets {
	out := []Targets{}
	for _, pod := range pods {
		if pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		out = append(out, Targets{
			Targets: []string{net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(ControlPort))},
			Labels: map[string]string{
				"namespace": pod.Namespace, "pod": pod.Name, "workload": pod.Labels["app"], "version": pod.Labels[labelVersion],
			},
		})
	}
	return out
}

// PodTargets tells Prometheus over HTTP which pods there are that the options select.
func (c *Cluster) PodTargets(options ...client.ListOption) http.HandlerFunc {
	return func(to http.ResponseWriter, request *http.Request) {
		var pods corev1.PodList
		if err := c.List(request.Context(), &pods, options...); err != nil {
			http.Error(to, err.Error(), http.StatusBadGateway)
			return
		}
		to.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(to).Encode(TargetsOf(pods.Items)) //nolint:errcheck,errchkjson // whoever asked is gone
	}
}
