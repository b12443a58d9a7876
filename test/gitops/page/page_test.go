// Package page tests what docs/gitops.md gives people to copy, with the interpreters of Argo CD and Flux.
package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

// said is what an ExposedService says, and what Argo CD and Flux are to make of it.
type said struct {
	ready, accepted, progressing string
	reason                       string
	argo, flux                   string
}

var phases = map[string]said{
	"at rest":                       {ready: "True", accepted: "True", progressing: "False", reason: "RolloutComplete", argo: "Healthy", flux: "Current"},
	"nothing is rolled out":         {ready: "True", accepted: "True", argo: "Healthy", flux: "Current"},
	"not exposed yet":               {ready: "Unknown", accepted: "True", argo: "Progressing", flux: "InProgress"},
	"no backend that serves":        {ready: "False", accepted: "True", progressing: "False", reason: "RolloutComplete", argo: "Degraded", flux: "InProgress"},
	"refused":                       {ready: "True", accepted: "False", argo: "Degraded", flux: "Failed"},
	"pods start":                    {ready: "True", accepted: "True", progressing: "True", reason: "Preparing", argo: "Progressing", flux: "InProgress"},
	"a step":                        {ready: "True", accepted: "True", progressing: "True", reason: "Stepping", argo: "Progressing", flux: "InProgress"},
	"suspected":                     {ready: "True", accepted: "True", progressing: "True", reason: "Rechecking", argo: "Progressing", flux: "InProgress"},
	"promotion":                     {ready: "True", accepted: "True", progressing: "True", reason: "Promoting", argo: "Progressing", flux: "InProgress"},
	"released":                      {ready: "True", accepted: "True", progressing: "True", reason: "Releasing", argo: "Progressing", flux: "InProgress"},
	"scaled to zero":                {ready: "True", accepted: "True", progressing: "False", reason: "RolloutSuspended", argo: "Progressing", flux: "InProgress"},
	"waits for what is replaced":    {ready: "True", accepted: "True", progressing: "False", reason: "RolloutWaiting", argo: "Progressing", flux: "InProgress"},
	"waits for somebody to agree":   {ready: "True", accepted: "True", progressing: "False", reason: "AwaitingApproval", argo: "Suspended", flux: "InProgress"},
	"waits for a webhook":           {ready: "True", accepted: "True", progressing: "False", reason: "AwaitingWebhook", argo: "Suspended", flux: "InProgress"},
	"held by its spec":              {ready: "True", accepted: "True", progressing: "False", reason: "RolloutPaused", argo: "Suspended", flux: "InProgress"},
	"somebody paused":               {ready: "True", accepted: "True", progressing: "False", reason: "WorkloadPaused", argo: "Suspended", flux: "InProgress"},
	"rolled back":                   {ready: "True", accepted: "True", progressing: "False", reason: "RolloutFailed", argo: "Degraded", flux: "Failed"},
	"pods that do not come":         {ready: "True", accepted: "True", progressing: "False", reason: "PodsNotReady", argo: "Degraded", flux: "InProgress"},
	"an object of it is refused":    {ready: "True", accepted: "True", progressing: "False", reason: "ApplyFailed", argo: "Degraded", flux: "InProgress"},
	"a spec that was not seen yet":  {argo: "Progressing", flux: "InProgress"},
	"nothing of it has been looked": {argo: "Progressing", flux: "InProgress"},
}

// object is an ExposedService that says so, as JSON has it.
func (s said) object(name string) map[string]any {
	var conditions []any
	for kind, status := range map[string]string{"Ready": s.ready, "Accepted": s.accepted, "Progressing": s.progressing} {
		if status == "" {
			continue
		}
		reason := kind
		if kind == "Progressing" {
			reason = s.reason
		}
		conditions = append(conditions, map[string]any{"type": kind, "status": status, "reason": reason, "message": "the message of " + kind})
	}
	out := map[string]any{"apiVersion": "headgate.dev/v1alpha1", "kind": "ExposedService", "metadata": map[string]any{"generation": int64(2)}}
	switch {
	case len(conditions) > 0:
		out["status"] = map[string]any{"observedGeneration": int64(2), "conditions": conditions}
	case strings.Contains(name, "not seen"):
		atRest := phases["at rest"].object("")
		atRest["status"].(map[string]any)["observedGeneration"] = int64(1)
		return atRest
	}
	return out
}

func TestArgoCDUnderstandsEachPhase(t *testing.T) {
	const key = "resource.customizations.health.headgate.dev_ExposedService"
	var configMap struct{ Data map[string]string }
	block(t, key, &configMap)
	for name, phase := range phases {
		status, message := argo(t, configMap.Data[key], phase.object(name))
		if status != phase.argo || message == "" {
			t.Errorf("%s: Argo CD says %s (%s), want %s", name, status, message, phase.argo)
		}
	}
}

// argo asks the script as Argo CD does: the object is in obj, the answer is a table with status and message.
func argo(t *testing.T, script string, object map[string]any) (status, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	lua.OpenBase(state)
	lua.OpenTable(state)
	lua.OpenString(state)
	state.SetTop(0)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %s", state.Get(-1).Type())
	}
	return lua.LVAsString(answer.RawGetString("status")), lua.LVAsString(answer.RawGetString("message"))
}

// value is what JSON says in Lua.
func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case string:
		return lua.LString(of)
	case int64:
		return lua.LNumber(of)
	case []any:
		table := state.NewTable()
		for _, item := range of {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range of {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}

func TestFluxUnderstandsEachPhase(t *testing.T) {
	var kustomization struct {
		Spec struct {
			HealthChecks     []struct{ Kind string }
			HealthCheckExprs []struct{ Kind, Current, Failed string }
		}
	}
	block(t, "healthCheckExprs:", &kustomization)
	if n := len(kustomization.Spec.HealthCheckExprs); n != 1 {
		t.Fatalf("%d kinds have expressions", n)
	}
	expressions := kustomization.Spec.HealthCheckExprs[0]
	failed, current := compiled(t, expressions.Failed), compiled(t, expressions.Current)
	for name, phase := range phases {
		if got := flux(failed, current, phase.object(name)); got != phase.flux {
			t.Errorf("%s: Flux says %s, want %s", name, got, phase.flux)
		}
	}
}

// flux asks expressions in the order in which Flux does. One that cannot be answered, because there is no status yet, says nothing.
func flux(failed, current cel.Program, object map[string]any) string {
	status, _ := object["status"].(map[string]any)
	if generation := object["metadata"].(map[string]any)["generation"]; status != nil && status["observedGeneration"] != generation {
		return "InProgress"
	}
	for _, rule := range []struct {
		program cel.Program
		status  string
	}{{failed, "Failed"}, {current, "Current"}} {
		if answer, _, err := rule.program.Eval(object); err == nil && answer.Value() == true {
			return rule.status
		}
	}
	return "InProgress"
}

// compiled is an expression as Flux takes it: parsed, with optional fields, and checked against no schema.
func compiled(t *testing.T, expression string) cel.Program {
	t.Helper()
	env, err := cel.NewEnv(cel.OptionalTypes())
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// block reads that YAML of the page which has a text in it.
func block(t *testing.T, with string, into any) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(found[1], with) {
			if err := yaml.Unmarshal([]byte(found[1]), into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("docs/gitops.md has no YAML with %s", with)
}
