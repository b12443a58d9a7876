package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// discovery tells Prometheus over HTTP which pods there are, as its discovery of Kubernetes would, which the local cluster's
// has not. The label workload sets Flagger's canaries apart, version those of Argo Rollouts, and the pod's name those of Headgate.
type discovery struct {
	*scene.Cluster
	address string
}

const (
	// discoveryPath is followed by a namespace.
	discoveryPath = "/pods/"
	// requestTime bounds one answer.
	requestTime = 5 * time.Second
)

// discover serves the discovery until the context ends, on this machine's address in the cluster's network.
func discover(ctx context.Context, cluster *scene.Cluster) (*discovery, error) {
	address, err := nodeAddress(ctx, cluster)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for Prometheus (this must run in the local cluster's network): %w", err)
	}
	d := &discovery{Cluster: cluster, address: listener.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+discoveryPath+"{namespace}", d.answer)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: requestTime}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with the context
	return d, nil
}

func nodeAddress(ctx context.Context, cluster *scene.Cluster) (string, error) {
	var nodes corev1.NodeList
	if err := cluster.List(ctx, &nodes); err != nil {
		return "", err
	}
	for i := range nodes.Items {
		for _, address := range nodes.Items[i].Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				return address.Address, nil
			}
		}
	}
	return "", fmt.Errorf("%w: no node has an address", errNotYet)
}

// url is where Prometheus asks for the pods of a namespace.
func (d *discovery) url(space string) string { return "http://" + d.address + discoveryPath + space }

func (d *discovery) answer(to http.ResponseWriter, request *http.Request) {
	// A Prometheus that is taken away in the middle is no reason for the client of the API to complain.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), requestTime)
	defer cancel()
	d.PodTargets(client.InNamespace(request.PathValue("namespace")), client.HasLabels{instanceLabel})(to, request.WithContext(ctx))
}

// instanceLabel is on the pods of all services.
const instanceLabel = "app.kubernetes.io/instance"
