package packaging

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
)

// query is a PromQL expression and where it stands.
type query struct{ where, expr string }

var (
	metricName = regexp.MustCompile(`\bheadgate_[a-z_]+\b`)
	// selector is a metric with the conditions in braces behind it.
	selector = regexp.MustCompile(`\b(headgate_[a-z_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	// grouping are the labels that an aggregation keeps.
	grouping = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([^)]*)\)`)
)

// ofControllers is where the controllers declare their metrics.
var ofControllers = []string{"controllers/metrics/*.go", "controllers/xdsfeed/metrics.go"}

// A name or label that no metric has makes a query that finds nothing, and says nothing.
func TestAlertsAndDashboardAskForMetricsThatExist(t *testing.T) {
	declared := declaredMetrics(t, append(ofControllers, "xds/server/metrics.go", "xds/loadreport/metrics.go")...)
	allowed := allowedValues(t)
	for _, q := range slices.Concat(alertQueries(t), dashboardQueries(t)) {
		labels := map[string]bool{}
		for _, name := range metricName.FindAllString(q.expr, -1) {
			metric, ok := declared.find(name)
			if !ok {
				t.Errorf("%s: the controllers have no metric %s", q.where, name)
			}
			for _, label := range metric.labels {
				labels[label] = true
			}
		}
		for _, match := range selector.FindAllStringSubmatch(q.expr, -1) {
			metric, _ := declared.find(match[1])
			for _, condition := range matcher.FindAllStringSubmatch(match[2], -1) {
				label, values := condition[1], condition[2]
				if !slices.Contains(metric.labels, label) {
					t.Errorf("%s: %s has no label %s", q.where, match[1], label)
				}
				for value := range strings.SplitSeq(values, "|") {
					if known := allowed[label]; known != nil && !known[value] {
						t.Errorf("%s: %s is never %q", q.where, label, value)
					}
				}
			}
		}
		for _, match := range grouping.FindAllStringSubmatch(q.expr, -1) {
			for label := range strings.SplitSeq(match[1], ",") {
				// Prometheus itself adds the instance to everything that it scrapes.
				if label = strings.TrimSpace(label); !labels[label] && label != "instance" {
					t.Errorf("%s: no metric in it has the label %s: %s", q.where, label, q.expr)
				}
			}
		}
	}
}

func TestTheDashboardShowsEveryMetric(t *testing.T) {
	var all strings.Builder
	for _, q := range dashboardQueries(t) {
		all.WriteString(q.expr + "\n")
	}
	for name := range declaredMetrics(t, ofControllers...) {
		if !strings.Contains(all.String(), name) {
			t.Errorf("%s is shown nowhere", name)
		}
	}
}

// Whoever is woken up is told what it is about, and where to read what to do.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	const page = "https://github.com/headgate/headgate/blob/main/docs/troubleshooting.md#"
	anchors := anchorsOf(t, repository("docs", "troubleshooting.md"))
	label := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	names := map[string]bool{}
	for _, alert := range alerts(t) {
		if names[alert.Alert] {
			t.Errorf("there are two alerts %s", alert.Alert)
		}
		names[alert.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, alert.Labels["severity"]) {
			t.Errorf("%s has severity %q", alert.Alert, alert.Labels["severity"])
		}
		for _, annotation := range []string{"summary", "description"} {
			if alert.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", alert.Alert, annotation)
			}
		}
		if anchor, ok := strings.CutPrefix(alert.Annotations["runbook_url"], page); !ok || !anchors[anchor] {
			t.Errorf("%s leads to %q, which is no section of docs/troubleshooting.md", alert.Alert, alert.Annotations["runbook_url"])
		}
		var kept []string
		for _, match := range grouping.FindAllStringSubmatch(alert.Expr, -1) {
			for name := range strings.SplitSeq(match[1], ",") {
				kept = append(kept, strings.TrimSpace(name))
			}
		}
		for _, text := range alert.Annotations {
			for _, match := range label.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(kept, match[1]) {
					t.Errorf("%s speaks of the label %s, which its expression does not keep", alert.Alert, match[1])
				}
			}
		}
	}
}

func TestTheDashboardCanBeImported(t *testing.T) {
	d := dashboard(t)
	if d.UID == "" || d.Title == "" {
		t.Errorf("uid %q, title %q", d.UID, d.Title)
	}
	variables := map[string]bool{}
	for _, variable := range d.Templating.List {
		variables[variable.Name] = true
	}
	for _, name := range []string{"datasource", "namespace", "name"} {
		if !variables[name] {
			t.Errorf("there is no variable %s", name)
		}
	}
	ids := map[int]bool{}
	for _, panel := range d.Panels {
		if panel.ID == 0 || ids[panel.ID] {
			t.Errorf("%s has the id %d, which is none or that of another panel", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		if panel.Type == "row" {
			continue
		}
		if panel.Title == "" || panel.Description == "" {
			t.Errorf("panel %d: title %q, description %q", panel.ID, panel.Title, panel.Description)
		}
		for _, target := range panel.Targets {
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s asks %q, and not the data source that was chosen", panel.Title, target.Datasource.UID)
			}
		}
		if len(panel.Targets) == 0 {
			t.Errorf("%s shows nothing", panel.Title)
		}
	}
}

// What is in files/ is what is installed, with the braces that Helm could take for its own.
func TestTheChartInstallsAlertsAndDashboardAsTheyAre(t *testing.T) {
	rendered := render(t,
		"--set", "metrics.prometheusRule.enabled=true,metrics.prometheusRule.labels.release=prometheus",
		"--set", "metrics.grafanaDashboard.enabled=true,metrics.grafanaDashboard.annotations.grafana_folder=Headgate")

	rule := rendered.get(t, "PrometheusRule headgate")
	var want map[string]any
	if err := yaml.Unmarshal(chartFile(t, "alerts.yaml"), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rule.Object["spec"]); diff != "" {
		t.Errorf("the PrometheusRule is not files/alerts.yaml (-want +got):\n%s", diff)
	}
	if rule.GetLabels()["release"] != "prometheus" {
		t.Errorf("the PrometheusRule has the labels %v", rule.GetLabels())
	}

	config := rendered.get(t, "ConfigMap headgate-dashboard")
	if config.GetLabels()["grafana_dashboard"] != "1" || config.GetAnnotations()["grafana_folder"] != "Headgate" {
		t.Errorf("the ConfigMap has the labels %v and the annotations %v", config.GetLabels(), config.GetAnnotations())
	}
	data, _ := config.Object["data"].(map[string]any)
	text, _ := data["headgate.json"].(string)
	if strings.TrimSpace(text) != strings.TrimSpace(string(chartFile(t, "dashboard.json"))) {
		t.Error("the ConfigMap does not hold files/dashboard.json")
	}
}

type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// alerts reads files/alerts.yaml; a field that a rule does not have is an error.
func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(chartFile(t, "alerts.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

func alertQueries(t *testing.T) []query {
	t.Helper()
	var out []query
	for _, alert := range alerts(t) {
		out = append(out, query{"alert " + alert.Alert, alert.Expr})
	}
	return out
}

type grafanaDashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID          int    `json:"id"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Targets     []struct {
			Expr       string `json:"expr"`
			Datasource struct {
				UID string `json:"uid"`
			} `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

func dashboard(t *testing.T) grafanaDashboard {
	t.Helper()
	var out grafanaDashboard
	if err := json.Unmarshal(chartFile(t, "dashboard.json"), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func dashboardQueries(t *testing.T) []query {
	t.Helper()
	var out []query
	d := dashboard(t)
	for _, variable := range d.Templating.List {
		if variable.Type == "query" {
			out = append(out, query{"variable " + variable.Name, variable.Definition})
		}
	}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			// A variable stands for any value.
			expr := regexp.MustCompile(`=~"\$[a-z]+"`).ReplaceAllString(target.Expr, `=~""`)
			out = append(out, query{"panel " + panel.Title, expr})
		}
	}
	return out
}

func chartFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chart, "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// metric is a metric as the controllers declare it.
type metric struct {
	labels    []string
	histogram bool
}

type metricsByName map[string]metric

// find finds a metric by the name of one of its series.
func (m metricsByName) find(series string) (metric, bool) {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(series, suffix); ok && m[base].histogram {
			out := metric{labels: slices.Clone(m[base].labels), histogram: true}
			if suffix == "_bucket" {
				out.labels = append(out.labels, "le")
			}
			return out, true
		}
	}
	found, ok := m[series]
	return found, ok && !found.histogram
}

// declaredMetrics reads the declarations in the code of the controllers.
func declaredMetrics(t *testing.T, patterns ...string) metricsByName {
	t.Helper()
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(repository(pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(matches, func(path string) bool { return strings.HasSuffix(path, "_test.go") })...)
	}
	out := metricsByName{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		lists := map[string][]string{}
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Names) == 1 && len(spec.Values) == 1 {
				lists[spec.Names[0].Name] = stringsIn(spec.Values[0])
			}
			return true
		})
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			function, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(function.Sel.Name, "New") || len(call.Args) == 0 {
				return true
			}
			name := metricName.FindString(strings.Join(stringsIn(call.Args[0]), " "))
			if name == "" {
				return true
			}
			declared := metric{histogram: strings.HasPrefix(function.Sel.Name, "NewHistogram")}
			for _, arg := range call.Args[1:] {
				switch arg := arg.(type) {
				case *ast.CompositeLit:
					declared.labels = stringsIn(arg)
				case *ast.Ident:
					if arg.Name != "nil" {
						declared.labels = lists[arg.Name]
					}
				}
			}
			out[name] = declared
			return true
		})
	}
	if len(out) < 10 || len(out["headgate_backend_active"].labels) != 3 {
		t.Fatalf("found the metrics %v: have they moved?", slices.Sorted(maps.Keys(out)))
	}
	return out
}

// stringsIn are the string literals in an expression.
func stringsIn(expr ast.Expr) []string {
	var out []string
	ast.Inspect(expr, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if value, err := strconv.Unquote(literal.Value); err == nil {
				out = append(out, value)
			}
		}
		return true
	})
	return out
}

// allowedValues are the values of those labels that have a fixed set of them.
func allowedValues(t *testing.T) map[string]map[string]bool {
	t.Helper()
	out := map[string]map[string]bool{
		"status":    {"True": true, "False": true, "Unknown": true},
		"result":    {"success": true, "error": true, "created": true, "changed": true, "corrected": true, "removed": true, "failed": true},
		"condition": withPrefix(stringConstants(t, repository("api", "v1alpha1", "conditions.go")), "Condition"),
		"reason":    withPrefix(stringConstants(t, repository("api", "v1alpha1", "failover_types.go")), "Decision"),
	}
	// Conditions have reasons as well as decisions, and so has the xDS server when it refuses somebody.
	maps.Copy(out["reason"], withPrefix(stringConstants(t, repository("xds", "server", "refusals.go")), "reason"))
	for _, row := range v1alpha1.Reasons() {
		out["reason"][string(row.Reason)] = true
	}
	for label, values := range out {
		if len(values) == 0 {
			t.Fatalf("found no values of %s: have they moved?", label)
		}
	}
	return out
}

// withPrefix are the values of the constants whose names begin with a prefix.
func withPrefix(constants map[string]string, prefix string) map[string]bool {
	out := map[string]bool{}
	for name, value := range constants {
		if strings.HasPrefix(name, prefix) {
			out[value] = true
		}
	}
	return out
}
