package signals

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Only are the series that queries may read: those that have a label with a value, such as the namespace of whoever asks.
type Only struct {
	Label, Value string
}

// promQL reads what every version of Prometheus does. Experimental functions stay out: info() reads series that no selector in the query
// names, so that nothing in it could be bound.
var promQL = parser.NewParser(parser.Options{})

// bind is a query that reads no other series, whatever it asked for. Each selector gets the label's matcher beside its own, so that one for
// another value selects nothing. What is sent is what was understood here, and not the text that somebody wrote: the server may read
// that in another way. The error says what is wrong with the query.
func (o Only) bind(query string) (string, error) {
	expression, err := promQL.ParseExpr(query)
	if err != nil {
		return "", o.unreadable(err.Error())
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok && !o.binds(selector) {
			selector.LabelMatchers = append(selector.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, o.Label, o.Value))
		}
		return nil
	})
	bound := expression.String()
	if !o.holds(bound) {
		return "", o.unreadable("it cannot be written in another form")
	}
	return bound, nil
}

// binds says whether a selector reads no other series.
func (o Only) binds(selector *parser.VectorSelector) bool {
	for _, matcher := range selector.LabelMatchers {
		if matcher.Type == labels.MatchEqual && matcher.Name == o.Label && matcher.Value == o.Value {
			return true
		}
	}
	return false
}

// holds says whether every selector of a query that has been written out is bound. It is a check of the writing.
func (o Only) holds(query string) bool {
	expression, err := promQL.ParseExpr(query)
	if err != nil {
		return false
	}
	bound := true
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			bound = bound && o.binds(selector)
		}
		return nil
	})
	return bound
}

func (o Only) unreadable(why string) error {
	return fmt.Errorf("the query cannot be kept to series with %s=%q, and is not sent: %s", o.Label, o.Value, presentable(why))
}
