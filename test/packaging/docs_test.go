package packaging

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Each row of the table of reasons has its place on the page that people look it up in, under its condition: a heading,
// or a row of a table. No heading is about anything else.
func TestTroubleshootingHasEveryReason(t *testing.T) {
	text, err := os.ReadFile(repository("docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	page, reasons := string(text), map[string]bool{}
	for _, row := range v1alpha1.Reasons() {
		reasons[string(row.Reason)] = true
		_, section, found := strings.Cut(page, "\n## "+row.Condition+"\n")
		if !found {
			t.Errorf("docs/troubleshooting.md has no section %s", row.Condition)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		if strings.Contains(section, "### `"+string(row.Reason)+"`\n") || strings.Contains(section, "| `"+string(row.Reason)+"` |") {
			continue
		}
		// A reason that several conditions have is explained once, and named in the sections of the others.
		if !strings.Contains(page, "### `"+string(row.Reason)+"`\n") && row.Condition != v1alpha1.ConditionProgressing ||
			!strings.Contains(section, "`"+string(row.Reason)+"`") && !strings.Contains(section, "`"+string(row.Reason)+"`]") {
			t.Errorf("docs/troubleshooting.md does not explain the reason %s of %s", row.Reason, row.Condition)
		}
	}
	for _, match := range regexp.MustCompile("(?m)^### `([A-Za-z]+)`$").FindAllStringSubmatch(page, -1) {
		if !reasons[match[1]] {
			t.Errorf("docs/troubleshooting.md explains %s, which is no reason", match[1])
		}
	}
}

// Reasons of decisions and of the health of a backend are rows of a table there.
func TestTroubleshootingHasEveryDecisionAndHealth(t *testing.T) {
	page, err := os.ReadFile(repository("docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	health := stringConstants(t, repository("api", "v1alpha1", "reasons.go"))
	for section, reasons := range map[string]map[string]bool{
		"## Events of decisions":    withPrefix(stringConstants(t, repository("api", "v1alpha1", "failover_types.go")), "Decision"),
		"## Health of the backends": union(withPrefix(health, "Fault"), withPrefix(health, "Health")),
	} {
		if len(reasons) == 0 {
			t.Fatalf("found no reasons for %s: have they moved?", section)
		}
		_, text, found := strings.Cut(string(page), "\n"+section+"\n")
		if !found {
			t.Errorf("docs/troubleshooting.md has no section %q", section)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		rows := map[string]bool{}
		for _, match := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(text, -1) {
			rows[match[1]] = true
		}
		if diff := cmp.Diff(reasons, rows); diff != "" {
			t.Errorf("docs/troubleshooting.md, %s (-reasons +rows):\n%s", section, diff)
		}
	}
}

func union(a, b map[string]bool) map[string]bool {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
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

// Links to files of the repository, and to sections of its pages, lead somewhere.
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
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s, which is not there", page, target)
			} else if anchor != "" && strings.HasSuffix(path, ".md") && !anchorsOf(t, path)[anchor] {
				t.Errorf("%s links to %s, which has no section #%s", page, path, anchor)
			}
		}
	}
}

// anchorsOf are the anchors that GitHub gives the headings of a page: lower case, without punctuation, with hyphens for
// spaces, and with a number from the second of the same name on.
func anchorsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	withoutCode := regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(string(text), "")
	anchors := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(withoutCode, -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		slug = strings.ReplaceAll(slug, " ", "-")
		anchor := slug
		for i := 1; anchors[anchor]; i++ {
			anchor = slug + "-" + strconv.Itoa(i)
		}
		anchors[anchor] = true
	}
	for _, match := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(withoutCode, -1) {
		anchors[match[1]] = true
	}
	return anchors
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

// Both shapes have the panic threshold that the page explains: one of them once had another, and its Envoys failed every call when a
// health check was wrong.
func TestThePanicThresholdIsTheSameEverywhere(t *testing.T) {
	for where, pattern := range map[string]*regexp.Regexp{
		repository("docs", "design.md"):                         regexp.MustCompile(`panic threshold is (\d+) %, in either shape`),
		repository("gateway", "testdata", "*.out.yaml"):         regexp.MustCompile(`(?m)^ *panicThreshold: (\d+)$`),
		repository("xds", "resource", "testdata", "*.out.yaml"): regexp.MustCompile(`(?m)^ *healthy_panic_threshold:(?: \{\}|\n *value: (\d+))$`),
	} {
		files, err := filepath.Glob(where)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range pattern.FindAllSubmatch(text, -1) {
				found++
				if string(match[1]) != "1" {
					t.Errorf("%s: %q, want 1", file, match[0])
				}
			}
		}
		if found == 0 {
			t.Errorf("%s says nothing of it", where)
		}
	}
}
