package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

const (
	values = `# About the file.

# Number of pods,
# at least one.
replicas: 2
image:
  # Name | of it.
  name: headgate
  nested:
    # A list.
    list: [a, 1]
# A map as a whole.
resources:
  cpu: 20m
# Nothing.
none: {}
`
	readme = "# Chart\n\n<!-- values -->\nold\n<!-- /values -->\n\nEnd.\n"
	want   = "# Chart\n\n<!-- values -->\n" +
		"| Value | Default | Description |\n| --- | --- | --- |\n" +
		"| `replicas` | `2` | Number of pods, at least one. |\n" +
		"| `image.name` | `\"headgate\"` | Name \\| of it. |\n" +
		"| `image.nested.list` | `[\"a\",1]` | A list. |\n" +
		"| `resources` | `{\"cpu\":\"20m\"}` | A map as a whole. |\n" +
		"| `none` | `{}` | Nothing. |\n" +
		"<!-- /values -->\n\nEnd.\n"
)

func TestRunWritesTheTable(t *testing.T) {
	chart := t.TempDir()
	path := filepath.Join(chart, "README.md")
	for file, content := range map[string]string{filepath.Join(chart, "values.yaml"): values, path: readme} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, which := range []string{"first run", "second run"} {
		if err := run(chart); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", which, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		values, readme string
		want           error
	}{
		"a value without a comment":             {values: "a: 1\n", readme: readme, want: errNoDescription},
		"an inner value without a comment":      {values: "a:\n  b: 1\n", readme: readme, want: errNoDescription},
		"values that are no map":                {values: "[]\n", readme: readme, want: errNotAMap},
		"a README without the markers":          {values: values, readme: "# Chart\n", want: errNoMarkers},
		"a README with only the opening marker": {values: values, readme: "<!-- values -->\n", want: errNoMarkers},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := valuesTable([]byte(test.values))
			if err == nil {
				_, err = insert(test.readme, table)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}
