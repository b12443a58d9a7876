package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// timings is when a cluster was started, and how many seconds the up took that got so far; 0 if none did yet.
type timings struct {
	Started      time.Time `json:"started"`
	API          float64   `json:"apiServerReady"`
	Node         float64   `json:"nodeReady"`
	DNS          float64   `json:"dnsAnswers"`
	EnvoyGateway float64   `json:"envoyGatewayAvailable"`

	began time.Time // when this up had everything built
}

func timingsFile(cluster layout.Cluster) string { return cluster.Path("timings.json") }

func readTimings(cluster layout.Cluster) (timings, error) {
	var t timings
	content, err := os.ReadFile(timingsFile(cluster))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(content, &t)
}

func (t *timings) write(cluster layout.Cluster) error {
	content, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return layout.WriteFile(timingsFile(cluster), content, 0o644)
}
