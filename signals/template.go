package signals

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
)

// queryTemplate is a query with {{.Namespace}}, {{.Name}}, {{.Backend}} and {{.Service}} in it.
type queryTemplate struct{ template *template.Template }

// parseQuery reads a template. It may hold these four and nothing else: whoever writes an
// ExposedService does not get to run loops in the operator.
func parseQuery(text string) (queryTemplate, error) {
	if strings.TrimSpace(text) == "" {
		return queryTemplate{}, errors.New("the query is empty")
	}
	parsed, err := template.New("query").Option("missingkey=error").Parse(text)
	if err != nil {
		return queryTemplate{}, err
	}
	if len(parsed.Templates()) > 1 || parsed.Tree == nil {
		return queryTemplate{}, errNotAField
	}
	for _, node := range parsed.Root.Nodes {
		if !allowed(node) {
			return queryTemplate{}, fmt.Errorf("%s: %w", presentable(node.String()), errNotAField)
		}
	}
	return queryTemplate{parsed}, nil
}

var errNotAField = errors.New("only {{.Namespace}}, {{.Name}}, {{.Backend}} and {{.Service}} may stand in a query")

func allowed(node parse.Node) bool {
	switch node := node.(type) {
	case *parse.TextNode:
		return true
	case *parse.ActionNode:
		if len(node.Pipe.Decl) != 0 || len(node.Pipe.Cmds) != 1 || len(node.Pipe.Cmds[0].Args) != 1 {
			return false
		}
		field, ok := node.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
		if !ok || len(field.Ident) != 1 {
			return false
		}
		switch field.Ident[0] {
		case "Namespace", "Name", "Backend", "Service":
			return true
		}
	}
	return false
}

// fill replaces the placeholders. A backend without a Service has no {{.Service}}.
func (q queryTemplate) fill(query Query, backend Backend) (string, error) {
	values := map[string]string{"Namespace": query.Namespace, "Name": query.Name, "Backend": backend.Name}
	if backend.Service != "" {
		values["Service"] = backend.Service
	}
	var out strings.Builder
	if err := q.template.Execute(&out, values); err != nil {
		return "", fmt.Errorf("backend %s has no Service to stand for {{.Service}} in the query", backend.Name)
	}
	return out.String(), nil
}
