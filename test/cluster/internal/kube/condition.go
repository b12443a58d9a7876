package kube

import (
	"context"
	"fmt"
)

// Condition is one entry of an object's status.conditions.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// CheckCondition returns nil if the object at path has the condition with status True, or else an error that says what it has,
// for its present generation.
func (c *Client) CheckCondition(ctx context.Context, path, condition string) error {
	var object struct {
		Metadata struct {
			Generation int64 `json:"generation"`
		} `json:"metadata"`
		Status struct {
			ObservedGeneration *int64      `json:"observedGeneration"`
			Conditions         []Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := c.Get(ctx, path, &object); err != nil {
		return err
	}
	if seen := object.Status.ObservedGeneration; seen != nil && *seen < object.Metadata.Generation {
		return fmt.Errorf("%s: its controller has not seen its last change", path)
	}
	for _, have := range object.Status.Conditions {
		if have.Type != condition {
			continue
		}
		if have.Status == "True" {
			return nil
		}
		return fmt.Errorf("%s: %s is %s (%s: %s)", path, condition, have.Status, have.Reason, have.Message)
	}
	return fmt.Errorf("%s: has no condition %s yet", path, condition)
}
