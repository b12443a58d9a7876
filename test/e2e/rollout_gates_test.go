package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// TestAChangedConfigMapIsShippedOnceAWebhookAgrees: nothing of the Deployment changes, only what its pods read at their start.
func TestAChangedConfigMapIsShippedOnceAWebhookAgrees(t *testing.T) {
	if os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip("pods can reach this process on a local cluster only: CLUSTER_COMMAND is not set")
	}
	t.Parallel()
	trial := try(t, "configured", v1alpha1.StrategyAuto, nil)
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: trial.space, Name: "settings"}, Data: map[string]string{"GREETING": "hello"}}
	must(t, cluster.Create(trial.ctx, settings))
	must(t, trial.mayTrack(settings.Name))
	trial.ship(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","envFrom":[{"configMapRef":{"name":"settings"}}]}]}}}}`)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))

	var status atomic.Int32
	status.Store(http.StatusForbidden)
	var asked atomic.Int32
	board := trial.serve(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, "frozen until Monday")
	})
	trial.ships(func(r *v1alpha1.Rollout) {
		r.TrackConfig = ptr.To(true)
		r.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "change-board", URL: board}}
	}, 10, 50)

	trial.mark("ConfigMap changed")
	settings.Data["GREETING"] = "good morning"
	must(t, cluster.Update(trial.ctx, settings))
	trial.rollout("the webhook holds the first step", func(r v1alpha1.RolloutStatus) bool {
		return r.Step == 1 && strings.Contains(r.Message, "frozen until Monday")
	})
	trial.mark("the board agrees")
	status.Store(http.StatusOK)
	trial.promoted()
	once(trial, v1alpha1.DecisionRolloutStarted)
	trial.nothingFailed()

	d := primaryIn(trial.space)
	must(t, cluster.Get(trial.ctx, client.ObjectKeyFromObject(d), d))
	if d.Spec.Template.Annotations["headgate.dev/config"] == "" {
		t.Errorf("the pods were not replaced: %v", d.Spec.Template.Annotations)
	}
	t.Logf("the webhook was asked %d times", asked.Load())
}

// TestWhatIsNotTrackedStartsNoRollout: a token that is renewed all the time, and contents that are as they were.
func TestWhatIsNotTrackedStartsNoRollout(t *testing.T) {
	t.Parallel()
	trial := try(t, "untracked", v1alpha1.StrategyAuto, nil)
	object := func(name, value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: trial.space, Name: name}, Data: map[string]string{strings.ToUpper(name): value}}
	}
	token := object("token", "1")
	token.Annotations = map[string]string{v1alpha1.AnnotationTrack: "false"}
	must(t, cluster.Put(trial.ctx, token, object("settings", "1")))
	must(t, trial.mayTrack("token", "settings"))
	trial.ship(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","envFrom":[` +
		`{"configMapRef":{"name":"settings"}},{"configMapRef":{"name":"token"}}]}]}}}}`)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	trial.ships(func(r *v1alpha1.Rollout) { r.TrackConfig = ptr.To(true) }, 10, 50)
	trial.atRest()

	trial.mark("token renewed, settings made again")
	token.Data["TOKEN"] = "2"
	must(t, cluster.Put(trial.ctx, token))
	// While they are away the contents are others.
	trial.changeRollout(func(r *v1alpha1.Rollout) { r.Paused = ptr.To(true) })
	_, err := cluster.UntilCondition(trial.ctx, trial.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonRolloutComplete)
	must(t, err)
	must(t, cluster.Delete(trial.ctx, object("settings", "1")))
	must(t, cluster.Create(trial.ctx, object("settings", "1")))
	trial.made(2 * calm)
	trial.changeRollout(func(r *v1alpha1.Rollout) { r.Paused = nil })
	trial.made(3 * calm)
	// What is tracked is noticed, so that what came before it was as well.
	trial.mark("settings changed")
	must(t, cluster.Put(trial.ctx, object("settings", "2")))
	trial.rollout("a rollout", func(status v1alpha1.RolloutStatus) bool { return status.Revision != "" && isPromoted(status) })
	once(trial, v1alpha1.DecisionRolloutStarted)
	trial.nothingFailed()
}

// mayTrack lets Headgate read ConfigMaps, as rbac.trackConfig of the chart does.
func (t *trial) mayTrack(names ...string) error {
	meta := metav1.ObjectMeta{Namespace: t.space, Name: "headgate-config"}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: names, Verbs: []string{"get", "list", "watch"},
	}}}
	if err := cluster.Create(t.ctx, role); err != nil {
		return err
	}
	return cluster.Create(t.ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: scene.HeadgateNamespace, Name: scene.HeadgateDeployment}},
	})
}

// serve starts a web server that pods can reach, and returns its URL.
func (t *trial) serve(handler http.HandlerFunc) string {
	t.Helper()
	at, err := t.addressForPods(t.ctx)
	must(t.T, err)
	listener, err := (&net.ListenConfig{}).Listen(t.ctx, "tcp", netip.AddrPortFrom(at, 0).String())
	must(t.T, err)
	server := httptest.NewUnstartedServer(handler)
	must(t.T, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// addressForPods is that which this process has for the pods: nothing is sent to find out.
func (t *trial) addressForPods(ctx context.Context) (netip.Addr, error) {
	var pods corev1.PodList
	if err := cluster.List(ctx, &pods, client.InNamespace(t.space)); err != nil {
		return netip.Addr{}, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(pods.Items[0].Status.PodIP, "9"))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return local.Addr(), err
}
