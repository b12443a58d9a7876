package scene

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Addresses are the IP addresses of an application's pods.
func (c *Cluster) Addresses(ctx context.Context, namespace, app string) ([]string, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
		return nil, err
	}
	var out []string
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp.IsZero() {
			out = append(out, pods.Items[i].Status.PodIP)
		}
	}
	return out, nil
}

// CrashAt ends the process in the pods with these addresses at once, and returns when the last one was gone.
// It goes to the pods themselves: the API server may be down, and the time is exact.
func CrashAt(ctx context.Context, addresses []string) (time.Time, error) {
	gone := make([]time.Time, len(addresses))
	var group errgroup.Group
	for i, address := range addresses {
		group.Go(func() error {
			err := crash(ctx, address)
			gone[i] = time.Now()
			return err
		})
	}
	err := group.Wait()
	var last time.Time
	for _, at := range gone {
		if at.After(last) {
			last = at
		}
	}
	return last, err
}

// crash sends the order that has no answer: the connection ends with the process.
func crash(ctx context.Context, address string) error {
	url := "http://" + net.JoinHostPort(address, strconv.Itoa(ControlPort)) + "/control/crash"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	// Not the default transport, which would ask a proxy for the way.
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	switch {
	case err == nil:
		_ = response.Body.Close()
		return fmt.Errorf("crash of %s: it answers %s", address, response.Status)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return fmt.Errorf("crash of %s: %w", address, err)
}
