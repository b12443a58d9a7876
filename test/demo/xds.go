package main

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/xds" // the resolver and the balancers of a client without a proxy
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	ownEnvoy     = "an Envoy of one's own"
	withoutProxy = "a gRPC client without a proxy"
	// ownRate is that of each, in calls per second.
	ownRate = rate / 2
)

func (d *demo) serveOverXDS(ctx context.Context) error {
	d.title(`Serve it over xDS too: kubectl patch exs %s --type merge -p '{"spec":{"xds":{"port":%d}}}'`, d.exs.Name, scene.XDSPort)
	if err := d.Change(ctx, d.exs, func(spec *v1alpha1.ExposedServiceSpec) {
		spec.XDS, spec.Rollout = &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(scene.XDSPort))}, nil
	}); err != nil {
		return err
	}
	if err := d.UntilExposed(ctx, d.exs); err != nil {
		return err
	}
	say("Headgate itself is the control plane now, for whoever has a certificate of the namespace")
	return nil
}

// connectClients connects an Envoy and, where the pods can be reached from here, a gRPC client, as a user would.
func (d *demo) connectClients(ctx context.Context) error {
	d.title("Connect clients of your own")
	for _, command := range []string{
		"kubectl headgate certificate xds-client | kubectl apply -f -",
		"kubectl headgate bootstrap envoy " + d.exs.Name + " | kubectl apply -f -",
		"kubectl headgate bootstrap grpc " + d.exs.Name + " -o bootstrap.json",
	} {
		say("  %s", command)
	}
	certificate, err := scene.XDSCertificate(ctx, d.exs.Namespace)
	if err != nil {
		return err
	}
	configs := map[string]load.Config{}
	config, err := d.LoadThroughOwnEnvoy(ctx, d.exs, certificate, ownRate)
	if err != nil {
		return err
	}
	if config.Target, err = d.PublishOwnEnvoy(ctx, d.exs); err != nil {
		return err
	}
	if err := scene.UntilAnswered(ctx, config); err != nil {
		return err
	}
	configs[ownEnvoy] = config
	if d.reachesPods(ctx) {
		directory, err := os.MkdirTemp("", "headgate-demo-")
		if err != nil {
			return err
		}
		// Read when the client starts, and again while it runs: it is gone with the process.
		context.AfterFunc(ctx, func() { _ = os.RemoveAll(directory) })
		if configs[withoutProxy], err = d.LoadWithoutProxy(ctx, d.exs, certificate, directory, ownRate); err != nil {
			return err
		}
	} else {
		say("the pods cannot be reached from here: the gRPC client, which calls them itself, is left out")
	}
	d.live = map[string]*load.Run{}
	for name, config := range configs {
		if d.live[name], err = load.Start(ctx, config); err != nil {
			return err
		}
	}
	for _, name := range d.clients() {
		if err := scene.Answered(ctx, d.live[name], primary, ownRate); err != nil {
			return err
		}
	}
	if err := d.UntilLive(ctx, d.exs, int32(len(d.live))); err != nil { //nolint:gosec // two
		return err
	}
	say("kubectl get exs %s -o jsonpath={.status.xds}:  %d clients, %d have acknowledged everything",
		d.exs.Name, d.exs.Status.XDS.Clients, d.exs.Status.XDS.Acknowledged)
	return nil
}

// clients are the names of the clients, in the order in which they are shown.
func (d *demo) clients() []string {
	var names []string
	for _, name := range []string{ownEnvoy, withoutProxy} {
		if d.live[name] != nil {
			names = append(names, name)
		}
	}
	return names
}

// reachesPods says whether this process is in the network of the pods.
func (d *demo) reachesPods(ctx context.Context) bool {
	addresses, err := d.Addresses(ctx, d.exs.Namespace, primary)
	if err != nil || len(addresses) == 0 {
		return false
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(addresses[0], strconv.Itoa(scene.GRPCPort)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (d *demo) killUnderOwnClients(ctx context.Context) error {
	d.title("Kill both primaries again: kubectl delete pod -l app=primary --force --grace-period 0")
	for _, live := range d.live {
		live.Mark("killed")
	}
	killed := time.Now()
	if err := d.Kill(ctx, d.exs.Namespace, primary); err != nil {
		return err
	}
	for _, name := range d.clients() {
		if err := scene.Answered(ctx, d.live[name], backup, ownRate); err != nil {
			return err
		}
	}
	if err := d.UntilReady(ctx, d.exs.Namespace, primary); err != nil {
		return err
	}
	for _, live := range d.live {
		live.Mark("primaries ready again, and held")
	}
	for _, name := range d.clients() {
		if err := scene.Answered(ctx, d.live[name], backup, ownRate); err != nil {
			return err
		}
	}
	for _, name := range d.clients() {
		report := d.live[name].Stop()
		say("%s", name)
		d.report("Kill both primaries, under "+name, report)
		say("first answer of the backup %d ms after the kill", firstAnswer(report, backup, killed).Milliseconds())
		if given := givenUp(report); given > 0 && name == withoutProxy {
			d.excuse(given, `gRPC gave up itself, "transport is closing": docs/xds.md, Limits`)
		}
	}
	return nil
}

// firstAnswer is how long after a time the first call ended that an application answered well.
func firstAnswer(report load.Report, app string, after time.Time) time.Duration {
	var since []time.Duration
	for call := range report.Calls() {
		if took := call.Due.Add(call.Latency).Sub(after); !call.Failed() && strings.HasPrefix(call.Pod, app+"-") && took >= 0 {
			since = append(since, took)
		}
	}
	if len(since) == 0 {
		return 0
	}
	return slices.Min(since)
}

// givenUp counts the calls that gRPC gave up with their connections, before they were sent.
func givenUp(report load.Report) int {
	count := 0
	for call := range report.Calls() {
		if call.Code == codes.Unavailable && call.Message == "transport is closing" {
			count++
		}
	}
	return count
}
