package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/netns"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// expectNewAddressesWork makes Services of type LoadBalancer, and connects to the address of each in the moment in which its status shows it. They
// have no endpoints, so that what works is a refusal at once; to an address that kube-proxy does not know there is no answer for 3 s, and no route then.
func expectNewAddressesWork(t *testing.T, cluster layout.Cluster, program string) {
	t.Helper()
	const services = 10
	admin, err := addons.Connect(cluster)
	if err != nil {
		t.Fatal(err)
	}
	init, running := cluster.InitPID()
	if !running {
		t.Fatal("the cluster is not running")
	}
	for i := range services {
		name := fmt.Sprintf("new-%d", i)
		manifest := `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "` + name + `"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}`
		create := exec.Command(program, "exec", "--", "kubectl", "create", "--namespace", "default", "--filename", "-")
		create.Stdin = strings.NewReader(manifest)
		if output, err := create.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		var service struct {
			Spec   struct{ ExternalIPs []string }
			Status struct {
				LoadBalancer struct{ Ingress []struct{ IP string } }
			}
		}
		get := func(ctx context.Context) error {
			return admin.Get(ctx, "/api/v1/namespaces/default/services/"+name, &service)
		}
		soon(t, time.Millisecond, func(ctx context.Context) error {
			if err := get(ctx); err != nil || len(service.Status.LoadBalancer.Ingress) == 0 {
				return errors.Join(err, errors.New("no address yet"))
			}
			return nil
		})
		address := net.JoinHostPort(service.Status.LoadBalancer.Ingress[0].IP, "80")
		began := time.Now()
		err := netns.Do(init, func() error {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err == nil {
				_ = conn.Close()
			}
			return err
		})
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s has just been published, and says after %s: %v", address, time.Since(began).Round(time.Millisecond), err)
		}
		soon(t, time.Millisecond, func(ctx context.Context) error {
			service.Spec.ExternalIPs = nil
			if err := get(ctx); err != nil || len(service.Spec.ExternalIPs) > 0 {
				return errors.Join(err, fmt.Errorf("its spec has external addresses, %v", service.Spec.ExternalIPs))
			}
			return nil
		})
	}
}

// soon is until, with an interval.
func soon(t *testing.T, interval time.Duration, attempt func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := wait.Until(ctx, interval, attempt); err != nil {
		t.Fatal(err)
	}
}
