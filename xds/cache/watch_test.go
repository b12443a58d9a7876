package cache

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheTableOfActionsIsWhatTheCodeDoes reads the table in the comment of actionOf, and compares each state with it.
func TestTheTableOfActionsIsWhatTheCodeDoes(t *testing.T) {
	rows := actionTable(t)
	matches := func(cell string, is bool) bool {
		return cell == "-" || cell == map[bool]string{true: "yes", false: "no"}[is]
	}
	actions := map[action]string{none: "none", update: "update", remove: "remove", absent: "absent", forget: "forget"}
	names := map[sent]string{nothing: "nothing", older: "older", newest: "newest"}
	covered := make([]bool, len(rows))
	for _, subscribed := range []bool{false, true} {
		for _, exists := range []bool{false, true} {
			for _, was := range []sent{nothing, older, newest} {
				for _, mustRespond := range []bool{false, true} {
					if exists && !subscribed || was == newest && !exists {
						continue // there are no such states
					}
					s := state{subscribed: subscribed, exists: exists, sent: was, mustRespond: mustRespond}
					found := 0
					for i, row := range rows {
						if matches(row[0], subscribed) && matches(row[1], exists) && row[2] == names[was] && matches(row[3], mustRespond) {
							found++
							covered[i] = true
							if got := actions[actionOf(s)]; got != row[4] {
								t.Errorf("%+v: %s, the table says %s", s, got, row[4])
							}
						}
					}
					if found != 1 {
						t.Errorf("%+v is %d times in the table", s, found)
					}
				}
			}
		}
	}
	for i, row := range rows {
		if !covered[i] {
			t.Errorf("no state is that of row %v", row)
		}
	}
}

// actionTable are the rows of the table in the comment of actionOf.
func actionTable(t *testing.T) (rows [][]string) {
	t.Helper()
	file := parsed(t, "watch.go")
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Name.Name != "actionOf" {
			continue
		}
		for line := range strings.SplitSeq(function.Doc.Text(), "\n") {
			if !strings.Contains(line, "|") || strings.Contains(line, "---") || strings.Contains(line, "subscribed") {
				continue
			}
			var row []string
			for cell := range strings.SplitSeq(line, "|") {
				row = append(row, strings.TrimSpace(cell))
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		t.Fatal("there is no table")
	}
	return rows
}

// TestEachMethodSaysWhetherItNeedsTheLock looks at the comments: whoever calls a function of what the mutex guards has to hold it, unless
// the function takes it, or needs none.
func TestEachMethodSaysWhetherItNeedsTheLock(t *testing.T) {
	guarded := []string{"Cache", "Client", "subscription", "watch"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, declaration := range parsed(t, name).Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv == nil {
				continue
			}
			star, ok := function.Recv.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			receiver, ok := star.X.(*ast.Ident)
			if !ok || !slices.Contains(guarded, receiver.Name) {
				continue
			}
			held := strings.Contains(function.Doc.Text(), "Cache.mu is held")
			locks := false
			ast.Inspect(function.Body, func(node ast.Node) bool {
				if call, ok := node.(*ast.SelectorExpr); ok && (call.Sel.Name == "lock" || call.Sel.Name == "Lock") {
					locks = true
				}
				return true
			})
			switch {
			case held && (locks || function.Name.IsExported()):
				t.Errorf("%s.%s takes the lock that it says is held", receiver.Name, function.Name.Name)
			case !held && !locks && !strings.Contains(function.Doc.Text(), "no lock") && !callsOnlyLockers[function.Name.Name]:
				t.Errorf("%s.%s does not say whether Cache.mu has to be held", receiver.Name, function.Name.Name)
			}
		}
	}
}

// callsOnlyLockers are those that do all they do through others.
var callsOnlyLockers = map[string]bool{"Set": true, "Remove": true, "Acked": true}

func parsed(t *testing.T, name string) *ast.File {
	t.Helper()
	text, err := os.ReadFile(name) //nolint:gosec // of this package
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
