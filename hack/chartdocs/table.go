package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	begin = "<!-- values -->"
	end   = "<!-- /values -->"
)

var (
	errNoMarkers     = errors.New("there are no lines " + begin + " and " + end)
	errNotAMap       = errors.New("values.yaml is not a map")
	errNoDescription = errors.New("there is no comment above the value")
)

// valuesTable describes each value of a values.yaml in a row of a Markdown table, in its order.
func valuesTable(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", fmt.Errorf("decode values.yaml: %w", err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", errNotAMap
	}
	table := &strings.Builder{}
	table.WriteString("| Value | Default | Description |\n| --- | --- | --- |\n")
	if err := writeRows(table, "", document.Content[0]); err != nil {
		return "", err
	}
	return table.String(), nil
}

// writeRows writes a row for each value with a comment, and goes into those maps that have none.
func writeRows(table *strings.Builder, prefix string, values *yaml.Node) error {
	// The content of a mapping is key, value, key, value.
	for i := 0; i+1 < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		name, text := prefix+key.Value, description(key.HeadComment)
		switch {
		case text != "":
			fallback, err := inline(value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(table, "| `%s` | `%s` | %s |\n", name, fallback, strings.ReplaceAll(text, "|", `\|`))
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			if err := writeRows(table, name+".", value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: %w", name, errNoDescription)
		}
	}
	return nil
}

// description is the last paragraph of the comment above a value: what stands before it is about
// the file.
func description(comment string) string {
	paragraphs := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		words = append(words, strings.Fields(strings.TrimLeft(line, "# "))...)
	}
	return strings.Join(words, " ")
}

// inline writes a value in one line, as JSON.
func inline(value *yaml.Node) (string, error) {
	var decoded any
	if err := value.Decode(&decoded); err != nil {
		return "", fmt.Errorf("decode the default: %w", err)
	}
	out, err := json.Marshal(decoded)
	if err != nil {
		return "", fmt.Errorf("encode the default: %w", err)
	}
	return string(out), nil
}

// insert puts the table between the markers of the README.
func insert(readme, table string) (string, error) {
	before, rest, found := strings.Cut(readme, begin+"\n")
	_, after, foundEnd := strings.Cut(rest, end+"\n")
	if !found || !foundEnd {
		return "", errNoMarkers
	}
	return before + begin + "\n" + table + end + "\n" + after, nil
}
