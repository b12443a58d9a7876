package calls

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestCodesAreChosenWhereTheyAreKnown(t *testing.T) {
	for kind, word := range map[v1alpha1.AnalysisSource]string{
		v1alpha1.AnalysisEnvoy: "", v1alpha1.AnalysisWorkload: "",
		v1alpha1.AnalysisPrometheus: "query", v1alpha1.AnalysisLoadReports: "clients report no gRPC status codes",
	} {
		source := &Source{Kind: kind, Codes: []v1alpha1.GRPCCode{"Internal"}}
		switch err := source.checkCodes(); {
		case word == "" && err != nil:
			t.Errorf("%s: %v", kind, err)
		case word != "" && (err == nil || !strings.Contains(err.Error(), word)):
			t.Errorf("%s: %v does not say %q", kind, err, word)
		}
		source.Codes = nil
		if err := source.checkCodes(); err != nil {
			t.Errorf("%s without codes: %v", kind, err)
		}
	}
}
