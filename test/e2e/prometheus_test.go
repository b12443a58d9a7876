package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// tryWithPrometheus is try with a Prometheus server beside the backends, which scrapes them and counts
// their errors. Live calls are counted by it when it returns.
func tryWithPrometheus(t *testing.T, name, rules string) (*trial, *scene.Prometheus) {
	t.Helper()
	ctx := onCluster(t)
	space := "e2e-" + name
	must(t, cluster.MakeNamespace(ctx, space))
	prometheus, err := cluster.DeployPrometheus(ctx, scene.PrometheusConfig{Namespace: space, Apps: []string{primary, backup}, Rules: rules})
	must(t, err)
	trial := try(t, name, v1alpha1.StrategyPriorities, func(failover *v1alpha1.Failover) { failover.Errors = prometheus.ErrorBound("5") })
	trial.signals(metav1.ConditionTrue, v1alpha1.ReasonSourceRead)
	return trial, prometheus
}

// signals waits until the calls of the serving backend are counted, or are not.
func (t *trial) signals(status metav1.ConditionStatus, reason v1alpha1.Reason) *metav1.Condition {
	t.Helper()
	condition, err := cluster.UntilCondition(t.ctx, t.exs, v1alpha1.ConditionSignalsAvailable, status, reason)
	must(t.T, err)
	t.Logf("SignalsAvailable=%s %s: %s", condition.Status, condition.Reason, condition.Message)
	return condition
}

// made waits until so many more calls have been made.
func (t *trial) made(calls int) {
	t.Helper()
	_, seen := t.live.Recent(0)
	must(t.T, scene.Until(t.ctx, fmt.Sprintf("%d calls", calls), func(context.Context) error {
		if recent, _ := t.live.Recent(seen); recent.Calls < calls {
			return errors.New("not yet")
		}
		return nil
	}))
}

// switches fails the test unless there were so many switches to a backup or trials of one.
func (t *trial) switches(want int) {
	t.Helper()
	must(t.T, cluster.Get(t.ctx, client.ObjectKeyFromObject(t.exs), t.exs))
	have := scene.Decided(t.exs, v1alpha1.DecisionSwitchedToBackup)
	if tried := scene.Decided(t.exs, v1alpha1.DecisionTryingBackup); have != want || tried > 0 {
		t.Errorf("%d switches and %d trials of the backup, want %d and none:\n%s", have, tried, want, strings.Join(scene.History(t.exs), "\n"))
	}
}

// failing lets the primaries answer some of their calls with an error.
func (t *trial) failing() time.Time {
	t.Helper()
	marked := t.mark("30 % INTERNAL")
	must(t.T, cluster.Order(t.ctx, t.space, primary, "errors", "share", "0.3", "code", "INTERNAL"))
	return marked
}

// leftByEvidence waits until the primaries have been left because Prometheus counted their errors.
func (t *trial) leftByEvidence(after time.Time) v1alpha1.Decision {
	t.Helper()
	left := t.decided(v1alpha1.DecisionSwitchedToBackup, after)
	t.Logf("left after %.1f s: %s", left.Time.Sub(after).Seconds(), left.Message)
	if !strings.Contains(left.Message, "counted by Prometheus") {
		t.Errorf("the decision does not say that Prometheus counted: %s", left.Message)
	}
	t.answered(backup)
	return left
}

// TestPrometheusDownForAMinute: nothing is decided from errors meanwhile, and everything else is. When
// it is back, with nothing of what it knew, it is asked as before, and errors that are over are no evidence.
func TestPrometheusDownForAMinute(t *testing.T) {
	t.Parallel()
	trial, prometheus := tryWithPrometheus(t, "prom-down", "")
	down := trial.mark("Prometheus scaled to 0")
	must(t, prometheus.Scale(trial.ctx, 0))
	condition := trial.signals(metav1.ConditionFalse, v1alpha1.ReasonSourceUnknown)
	if !strings.Contains(condition.Message, "Unreachable") {
		t.Errorf("the condition does not say that Prometheus is unreachable: %s", condition.Message)
	}
	trial.switches(0)

	unready := trial.mark("primaries not ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, unready)
	trial.answered(backup)
	trial.mark("primaries ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "ready"))
	trial.handedBack(unready)

	// A tenth of the calls of the minute: twice what is allowed.
	unseen := trial.failing()
	trial.made(20 * calm)
	trial.mark("errors end")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "reset"))
	must(t, scene.Until(trial.ctx, "a minute without Prometheus", func(context.Context) error {
		if lasted := time.Since(down); lasted < time.Minute {
			return fmt.Errorf("it is down for %s", lasted)
		}
		return nil
	}))
	trial.switches(1)
	trial.signals(metav1.ConditionFalse, v1alpha1.ReasonSourceUnknown)

	trial.mark("Prometheus scaled to 1")
	must(t, prometheus.Scale(trial.ctx, 1))
	trial.signals(metav1.ConditionTrue, v1alpha1.ReasonSourceRead)
	trial.made(5 * calm)
	trial.switches(1)
	trial.leftByEvidence(trial.failing())
	trial.onlyFailedBetween(unseen, trial.answeredAlone(backup))
}

func TestFailingPrimariesAreLeftByWhatPrometheusCounts(t *testing.T) {
	t.Parallel()
	trial, _ := tryWithPrometheus(t, "prom-failing", "")
	trial.made(10 * calm)
	trial.switches(0)
	marked := trial.failing()
	trial.leftByEvidence(marked)
	arrived := trial.answeredAlone(backup)
	trial.answered(backup)
	trial.onlyFailedBetween(marked, arrived)
}

// TestPrometheusSaysWhoIsFailedOver: the alerts of the chart name the ExposedService, and every panel of
// its dashboard has something to show.
func TestPrometheusSaysWhoIsFailedOver(t *testing.T) {
	t.Parallel()
	onCluster(t)
	trial, prometheus := tryWithPrometheus(t, "prom-alerts", string(chartFile(t, "alerts.yaml")))
	// Some panels are about those that are served over xDS.
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.XDS = &v1alpha1.XDS{} }))
	// Others are about rollouts. This one stays in its first step.
	trial.ships(func(rollout *v1alpha1.Rollout) { rollout.Steps[0].Hold = ptr.To(v1alpha1.LongDuration("1h")) }, 10)
	trial.ship(newVersion)
	trial.rollout("the canary has calls", func(status v1alpha1.RolloutStatus) bool { return status.Weight > 0 })
	whose := fmt.Sprintf(`namespace=%q,name=%q`, trial.space, trial.exs.Name)
	_, err := prometheus.UntilFound(trial.ctx, `headgate_xds_clients{`+whose+`}`)
	must(t, err)
	_, err = prometheus.UntilFound(trial.ctx, `headgate_rollout_evidence_ratio{`+whose+`}`)
	must(t, err)
	_, err = prometheus.UntilFound(trial.ctx, `headgate_exposedservice_condition{condition="FailedOver",status="False",`+whose+`}`)
	must(t, err)
	early, err := prometheus.Query(trial.ctx, `ALERTS{alertname="HeadgateFailedOver",`+whose+`}`)
	must(t, err)
	if len(early) > 0 {
		t.Errorf("there is an alert before anything happened: %v", early)
	}
	marked := trial.mark("primaries not ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.answered(backup)

	t.Run("alerts", func(t *testing.T) {
		for _, alert := range []string{"HeadgateFailedOver", "HeadgateBackendDown"} {
			found, err := prometheus.UntilFound(trial.ctx, `ALERTS{alertname="`+alert+`",alertstate=~"pending|firing",`+whose+`}`)
			must(t, err)
			t.Log(found)
		}
		rules, err := prometheus.Rules(trial.ctx)
		must(t, err)
		for _, rule := range rules {
			if rule.Health != promv1.RuleHealthGood {
				t.Errorf("alert %s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
		if want := strings.Count(string(chartFile(t, "alerts.yaml")), "- alert: "); len(rules) != want {
			t.Errorf("Prometheus has %d alerts, want %d", len(rules), want)
		}
	})
	t.Run("dashboard", func(t *testing.T) {
		board := readDashboard(t)
		for _, variable := range board.Templating.List {
			if variable.Type == "query" {
				t.Run(variable.Name, func(t *testing.T) { offers(trial, t, prometheus, variable.Definition) })
			}
		}
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				t.Run(panel.Title+" "+target.RefID, func(t *testing.T) { shows(trial, t, prometheus, target.Expr) })
			}
		}
	})
	trial.nothingFailed()
}

// dashboard is what a Grafana dashboard asks.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		Title   string
		Targets []struct{ RefID, Expr string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var out dashboard
	must(t, json.Unmarshal(chartFile(t, "dashboard.json"), &out))
	if len(out.Panels) == 0 || len(out.Templating.List) == 0 {
		t.Fatal("the dashboard has no panels or no variables")
	}
	return out
}

// filled replaces the variables of a dashboard as Grafana does.
func filled(trial *trial, expression string) string {
	return strings.NewReplacer("$namespace", trial.space, "$name", trial.exs.Name, "$__rate_interval", "30s").Replace(expression)
}

// labelValues is Grafana's function for the values that a label has.
var labelValues = regexp.MustCompile(`^label_values\((.+), *([a-z_]+)\)$`)

// offers fails the test unless a variable of the dashboard can be set to the ExposedService of the trial.
func offers(trial *trial, t *testing.T, prometheus *scene.Prometheus, definition string) {
	t.Helper()
	parts := labelValues.FindStringSubmatch(filled(trial, definition))
	if parts == nil {
		t.Fatalf("%s is no query for the values of a label", definition)
	}
	now := time.Now()
	values, warnings, err := prometheus.API.LabelValues(trial.ctx, parts[2], []string{parts[1]}, now.Add(-time.Minute), now)
	must(t, err)
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	for _, value := range values {
		if value == model.LabelValue(trial.space) || value == model.LabelValue(trial.exs.Name) {
			return
		}
	}
	t.Errorf("%s is offered, which is neither %s nor %s", values, trial.space, trial.exs.Name)
}

// shows fails the test unless an expression can be evaluated, and has a result if it is about
// ExposedServices by their names: that of the trial is failed over.
func shows(trial *trial, t *testing.T, prometheus *scene.Prometheus, expression string) {
	t.Helper()
	found, err := prometheus.Query(trial.ctx, filled(trial, expression))
	must(t, err)
	t.Logf("%d series", len(found))
	if named := strings.Contains(expression, "$name") || strings.Contains(expression, "headgate_exposedservice_condition"); named && len(found) == 0 {
		t.Errorf("no result: %s", filled(trial, expression))
	}
}

func chartFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "charts", "headgate", "files", name))
	must(t, err)
	return content
}
