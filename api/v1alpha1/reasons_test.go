package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Each reason has its rows in the table, and the table has nothing else but the phases of a rollout.
func TestEveryReasonIsInTheTable(t *testing.T) {
	constants := constantsOf(t, "reasons.go", "Reason")
	if len(constants) < 50 {
		t.Fatalf("found %d reasons: have they moved?", len(constants))
	}
	for _, phase := range []v1alpha1.RolloutPhase{
		v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutRechecking, v1alpha1.RolloutPromoting, v1alpha1.RolloutReleasing,
		v1alpha1.RolloutHandingOver, v1alpha1.RolloutRollingBack,
	} {
		constants[string(phase)] = true
	}
	conditions := constantsOf(t, "conditions.go", "")
	conditions[v1alpha1.ConditionProgressing] = true
	rows, reasons := map[v1alpha1.ReasonMeaning]bool{}, map[string]bool{}
	for _, row := range v1alpha1.Reasons() {
		if !conditions[row.Condition] || !constants[string(row.Reason)] || row.Meaning == "" {
			t.Errorf("row %+v names something that is not there", row)
		}
		key := v1alpha1.ReasonMeaning{Condition: row.Condition, Reason: row.Reason}
		if rows[key] {
			t.Errorf("%+v is there twice", key)
		}
		rows[key], reasons[string(row.Reason)] = true, true
	}
	for reason := range constants {
		if !reasons[reason] {
			t.Errorf("the table does not have %s", reason)
		}
	}
}

// constantsOf are the values of a file's constants of a type of this package; without a type, of those that are untyped.
func constantsOf(t *testing.T, path, typeName string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		have := ""
		if named, ok := spec.Type.(*ast.Ident); ok {
			have = named.Name
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			if !ok || have != typeName {
				continue
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[text] = true
		}
		return true
	})
	return out
}
