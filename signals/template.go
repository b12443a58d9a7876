package signals

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// placeholders are what may stand in a query, in the order in which people are told of them.
type placeholders []string

var (
	// ofBackends are those of queries about the backends of an ExposedService.
	ofBackends = placeholders{"Namespace", "Name", "Backend", "Service"}
	// ofSides are those of queries about the two sides of a rollout.
	ofSides = placeholders{"Namespace", "Name", "Side", "Service", "Workload", "PodTemplateHash"}
)

// queryTemplate is a query with placeholders such as {{.Namespace}} in it.
type queryTemplate struct {
	template *template.Template
	// needs are the placeholders that stand in it.
	needs []string
}

// parseQuery reads a template. It may hold the placeholders and nothing else: whoever writes an
// ExposedService does not get to run loops in the operator.
func parseQuery(text string, may placeholders) (queryTemplate, error) {
	if strings.TrimSpace(text) == "" {
		return queryTemplate{}, errors.New("the query is empty")
	}
	parsed, err := template.New("query").Option("missingkey=error").Parse(text)
	if err != nil {
		return queryTemplate{}, err
	}
	if len(parsed.Templates()) > 1 || parsed.Tree == nil {
		return queryTemplate{}, may.notOne()
	}
	out := queryTemplate{template: parsed}
	for _, node := range parsed.Root.Nodes {
		if node.Type() == parse.NodeText {
			continue
		}
		name := may.in(node)
		if name == "" {
			return queryTemplate{}, fmt.Errorf("%s: %w", presentable(node.String()), may.notOne())
		}
		out.needs = append(out.needs, name)
	}
	return out, nil
}

// tellsSides says whether a query about the two sides of a rollout asks each of them something else. Both are of one Deployment.
func (q queryTemplate) tellsSides() error {
	if slices.ContainsFunc(q.needs, func(name string) bool { return name == "Side" || name == "Service" || name == "PodTemplateHash" }) {
		return nil
	}
	return errors.New("the query asks the same of both sides: tell their pods apart, " +
		`by pod=~"{{.Workload}}-(00-)?{{.PodTemplateHash}}-[a-z0-9]+" or by a label that has {{.PodTemplateHash}}`)
}

func (p placeholders) notOne() error {
	words := make([]string, len(p))
	for i, name := range p {
		words[i] = "{{." + name + "}}"
	}
	last := len(words) - 1
	return fmt.Errorf("only %s and %s may stand in a query", strings.Join(words[:last], ", "), words[last])
}

// in is the placeholder that a node is; empty: it is something else.
func (p placeholders) in(node parse.Node) string {
	action, ok := node.(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) != 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	field, ok := action.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 || !slices.Contains(p, field.Ident[0]) {
		return ""
	}
	return field.Ident[0]
}

// fill replaces the placeholders. A backend without a Service has no {{.Service}}, and a side that is no Deployment's no
// {{.Workload}} and no {{.PodTemplateHash}}.
func (q queryTemplate) fill(query Query, backend Backend) (string, error) {
	values := map[string]string{
		"Namespace": query.Namespace, "Name": query.Name, "Backend": backend.Name,
		"Service": backend.Service, "Side": backend.Side, "Workload": backend.Workload, "PodTemplateHash": backend.PodTemplateHash,
	}
	for _, name := range q.needs {
		if values[name] == "" {
			what := name
			switch name {
			case "Workload":
				what = "Deployment"
			case "PodTemplateHash":
				what = "pod-template-hash"
			}
			return "", fmt.Errorf("backend %s has no %s to stand for {{.%s}} in the query", backend.Name, what, name)
		}
	}
	var out strings.Builder
	if err := q.template.Execute(&out, values); err != nil {
		return "", fmt.Errorf("fill in the query: %w", err)
	}
	return out.String(), nil
}
