package packaging

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Each reason that a condition can have is a heading of the page that people look it up in, and
// nothing else is.
func TestTroubleshootingHasEveryReason(t *testing.T) {
	reasons := map[string]bool{}
	for name, value := range stringConstants(t, repository("api", "v1alpha1", "conditions.go")) {
		if strings.HasPrefix(name, "Reason") {
			reasons[value] = true
		}
	}
	if len(reasons) == 0 {
		t.Fatal("found no reasons: have they moved?")
	}
	page, err := os.ReadFile(repository("docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^### `([A-Za-z]+)`$").FindAllStringSubmatch(string(page), -1) {
		headings[match[1]] = true
	}
	for reason := range reasons {
		if !headings[reason] {
			t.Errorf("docs/troubleshooting.md does not explain the reason %s", reason)
		}
	}
	for heading := range headings {
		if !reasons[heading] {
			t.Errorf("docs/troubleshooting.md explains %s, which is no reason", heading)
		}
	}
}

func TestTheIndexListsEveryPage(t *testing.T) {
	index, err := os.ReadFile(repository("docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range markdown(t, repository("docs")) {
		path, err := filepath.Rel(repository("docs"), page)
		if err != nil {
			t.Fatal(err)
		}
		if path != "README.md" && !strings.Contains(string(index), "]("+filepath.ToSlash(path)+")") {
			t.Errorf("docs/README.md does not list %s", path)
		}
	}
}

// Links to files of the repository lead somewhere.
func TestNoLinkIsBroken(t *testing.T) {
	link := regexp.MustCompile(`(?:^|[^\\])\[[^\[\]]+\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	pages := markdown(t, repository("docs"))
	for _, folder := range []string{".", "charts/headgate"} {
		more, err := filepath.Glob(repository(folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), "``"), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, target)
			}
		}
	}
}

// stringConstants returns the string constants of a Go file, by name.
func stringConstants(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) {
				continue
			}
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[name.Name] = value
		}
		return true
	})
	return constants
}

func markdown(t *testing.T, folder string) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
