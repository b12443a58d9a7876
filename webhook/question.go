package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// TypeStepLeaving is the type of the one question that there is.
const TypeStepLeaving = "rollout.step.leaving"

// Question is the body of a request: may this step of this revision be left?
type Question struct {
	// Type is TypeStepLeaving.
	Type string `json:"type"`
	// ID is the same each time that the same is asked, so that a receiver can tell a question that it knows.
	ID string `json:"id"`
	// Namespace and Name are those of the ExposedService.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Stable is the revision that the first backend runs, Revision the one that is shipped; as in status.rollout.
	Stable   string `json:"stable,omitempty"`
	Revision string `json:"revision"`
	// Step is the number of the step, from 1, of Steps in all.
	Step  int32 `json:"step"`
	Steps int   `json:"steps"`
	// WeightPercent is the canary's share of the calls of the first backend, in percent.
	WeightPercent json.Number `json:"weightPercent"`
}

// ID names a step of a revision of an ExposedService, by its UID. It holds no full stop, as Standard Webhooks wants it.
func ID(uid, revision string, step int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", uid, revision, step))
	return "step_" + hex.EncodeToString(sum[:16])
}
