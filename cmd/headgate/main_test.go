package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers"
	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// TestOperator starts all of it: it becomes ready, shows metrics to nobody without a name, leads,
// and gives up the lease when it ends.
func TestOperator(t *testing.T) {
	config, kube := apiserver.Config(t), apiserver.Client(t)
	namespace := apiserver.Namespace(t, kube)
	files := xdsCertificates(t)
	o, err := parseOptions([]string{
		"--leader-elect", "--leader-election-namespace=" + namespace,
		"--health-probe-bind-address=" + freeAddress(t), "--metrics-bind-address=" + freeAddress(t),
		"--xds-bind-address=" + freeAddress(t), "--replica-name=test", "--replica-namespace=" + namespace,
		"--xds-certificate=" + files.Certificate, "--xds-key=" + files.Key, "--xds-client-ca=" + files.ClientCAs,
	}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- operate(ctx, config, o) }()

	lease := &coordinationv1.Lease{}
	lease.Namespace, lease.Name = namespace, controllers.Name
	until(t, "it leads", func() error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(lease), lease); err != nil {
			return err
		}
		if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
			return fmt.Errorf("nobody holds the lease")
		}
		return nil
	})
	until(t, "it is alive", func() error { return answers("http://"+o.probeAddress+"/healthz", http.StatusOK) })
	until(t, "it is ready", func() error { return answers("http://"+o.probeAddress+"/readyz", http.StatusOK) })
	until(t, "metrics are refused to strangers", func() error {
		return answers("https://"+o.metricsAddress+"/metrics", http.StatusUnauthorized)
	})

	until(t, "it shows nothing over xDS to strangers", func() error { return refusesStrangers(o.xds.address) })

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(shutdownTimeout + 5*time.Second):
		t.Fatal("it does not end")
	}
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("it still holds the lease as %s", *lease.Spec.HolderIdentity)
	}
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

func answers(url string, want int) error {
	caller := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	response, err := caller.Get(url)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

func until(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: %v", what, err)
		case <-ticker.C:
		}
	}
}
