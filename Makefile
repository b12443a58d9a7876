# Everything that can be done here: `make help` lists it. Each target does its own set-up: a machine
# with Go, Python's pip, apt and root needs nothing else.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What the user's environment may hold for other purposes is set anew: bash reads this before each recipe.
export BASH_ENV := $(CURDIR)/hack/environment.sh

TOOL := go tool -modfile=hack/tools/go.mod
LINT := go tool -modfile=hack/tools/lint/go.mod golangci-lint
CLUSTER_COMMAND := go build -C test/cluster -o ../../.cache/bin/cluster . && .cache/bin/cluster

VERSION ?= $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unknown)
CRD := config/crd/bases/headgate.dev_exposedservices.yaml

##@ Start

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the binaries into bin/.
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

##@ Test

.PHONY: test
test: ## Run the tests; those that need a cluster on a local one, where this machine can run it.
	hack/test.sh all

.PHONY: test-long
test-long: ## Run what takes too long for every change: live calls of xDS clients, longer scenarios end to end.
	hack/test.sh long

.PHONY: test-unit
test-unit: ## Run unit, golden and API-server tests with the race detector.
	hack/test.sh unit

.PHONY: test-e2e
test-e2e: ## Run the end-to-end tests on a local cluster (CLUSTER=current: on kubectl's).
	hack/test.sh e2e

.PHONY: lint
lint: ## Check style and common mistakes in Go and shell code.
	hack/lint.sh

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the dependencies that are used (asks the vulnerability database).
	$(TOOL) govulncheck ./...

##@ Measure

.PHONY: bench-xds
bench-xds: ## Print what it costs to push an endpoint to xDS clients, beside go-control-plane's caches (FLAGS: -wire over mutual TLS).
	nice -n 10 go run ./test/bench/xds $(FLAGS)

.PHONY: bench-endpoints
bench-endpoints: ## Print how long an Envoy takes to have an endpoint that has changed, behind Envoy Gateway and over xDS, on a local cluster (FLAGS: see -help).
	hack/bench.sh endpoints $(FLAGS)

.PHONY: bench-judge
bench-judge: ## Ship versions of simulated services with Headgate, Flagger and Argo Rollouts, and print what became of them (FLAGS: see -help).
	go run ./test/bench/judge $(FLAGS)

.PHONY: bench-failover
bench-failover: ## Print how long each stage of a failover takes, on a local cluster.
	hack/bench.sh failover

.PHONY: bench-overload
bench-overload: ## Print what becomes of calls while backends die, are slow or overloaded, on a local cluster (FLAGS: see -help).
	hack/bench.sh overload $(FLAGS)

.PHONY: bench-idle
bench-idle: ## Print what a hundred settled ExposedServices cost, on a local cluster.
	hack/bench.sh idle

.PHONY: bench-scale
bench-scale: ## Print what 100 and 1,000 ExposedServices cost one operator (BASELINE=commit: beside that commit's).
	hack/bench.sh scale $(if $(BASELINE),-baseline $(BASELINE))

.PHONY: bench-peers
bench-peers: ## Put into docs/comparison.md what Flagger, Argo Rollouts and Headgate do with the same versions.
	hack/bench.sh peers -page docs/comparison.md

##@ Change

.PHONY: fmt
fmt: ## Format the Go code.
	$(LINT) fmt

.PHONY: generate
generate: ## Generate deepcopy code, CRDs, RBAC, API reference, the picture of a rollout, chart files and protobuf code.
	$(TOOL) controller-gen object paths=./api/...
	$(TOOL) controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	go run ./hack/crdschema -crd $(CRD) -field 'spec.overrides[].patch' -schema hack/crdschema/override-patch.yaml
	$(TOOL) controller-gen rbac:roleName=headgate paths='./controllers/...;./cmd/headgate' output:rbac:dir=config/rbac
	go run ./hack/apidocs -crd $(CRD) -out docs/reference/api.md
	go run ./test/bench/picture -out docs/images/rollout.svg
	go run ./hack/chartdocs -chart charts/headgate
	mkdir -p charts/headgate/files/crds
	cp $(CRD) charts/headgate/files/crds/
	cp config/rbac/role.yaml charts/headgate/files/role.yaml
	go generate ./test/grpcapp/...

.PHONY: generate-check
generate-check: ## Fail if anything generated is not current; changes no file.
	hack/generate-check.sh

##@ Look at it

.PHONY: demo
demo: ## Show failover under live calls, on a local cluster (CLUSTER=current: on kubectl's).
	hack/demo.sh

.PHONY: demo-down
demo-down: ## Remove what demo has made.
	hack/demo.sh down

.PHONY: cluster-up
cluster-up: ## Start a local Kubernetes cluster with Envoy Gateway, which demo uses too.
	$(CLUSTER_COMMAND) up

.PHONY: cluster-down
cluster-down: ## End it, and remove all that it has written.
	$(CLUSTER_COMMAND) down
