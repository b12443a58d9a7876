package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// XDSPort is where an Envoy of one's own takes calls to an ExposedService over xDS.
const XDSPort = 9090

// ExposedServiceOverXDS exposes applications, in order of preference, to clients of Headgate's own xDS
// and without a Gateway. Calls may run twice, as those of the sample application may.
func ExposedServiceOverXDS(namespace, name string, apps ...string) *v1alpha1.ExposedService {
	exs := ExposedService(namespace, name, apps...)
	exs.Spec.Gateway = nil
	exs.Spec.XDS = &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(XDSPort))}
	// A host name belongs to one ExposedService of all that are served over xDS.
	exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(name + "." + namespace + ".example.com")}
	return exs
}

// UntilLive waits until so many clients are connected, and have all acknowledged what their replicas of
// Headgate serve, which is the newest generation and the last decision.
func (c *Cluster) UntilLive(ctx context.Context, exs *v1alpha1.ExposedService, clients int32) error {
	return Until(ctx, fmt.Sprintf("%s to be live on %d clients", exs.Name, clients), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		if !live(exs, clients) {
			text, _ := json.Marshal(exs.Status) //nolint:errchkjson // a status is always JSON
			return fmt.Errorf("%w: %s", errNotYet, text)
		}
		return nil
	})
}

func live(exs *v1alpha1.ExposedService, clients int32) bool {
	xds, decision := exs.Status.XDS, exs.Status.Traffic
	if xds == nil || decision == nil || xds.Clients != clients || xds.Acknowledged != clients {
		return false
	}
	for _, replica := range xds.Replicas {
		if replica.ObservedGeneration < exs.Generation || replica.Revision < decision.Revision {
			return false
		}
	}
	return true
}

// dnsServer is the address of the cluster's DNS server, for those who have no pod's resolver.
func (c *Cluster) dnsServer(ctx context.Context) (string, error) {
	service, err := c.core.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, "kube-dns", metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the DNS server of the cluster: %w", err)
	}
	return service.Spec.ClusterIP, nil
}

// HeadgatePods are the names of Headgate's replicas.
func (c *Cluster) HeadgatePods(ctx context.Context) ([]string, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(HeadgateNamespace), client.MatchingLabels(headgateLabels)); err != nil {
		return nil, err
	}
	var names []string
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp.IsZero() {
			names = append(names, pods.Items[i].Name)
		}
	}
	return names, nil
}

// UntilAPIServerDown waits until nobody listens where the API server does. Its client would go on trying.
func (c *Cluster) UntilAPIServerDown(ctx context.Context) error {
	server, _, err := rest.DefaultServerUrlFor(c.rest)
	if err != nil {
		return err
	}
	return Until(ctx, "the API server to be down", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.Host)
		if err != nil {
			return nil //nolint:nilerr // that is what is waited for
		}
		_ = conn.Close()
		return errNotYet
	})
}
