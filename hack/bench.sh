#!/usr/bin/env bash
# Runs a benchmark, on the local cluster, which it starts and leaves up, unless it says something else:
#
#   hack/bench.sh failover [FLAGS]   how long each stage of a failover takes
#   hack/bench.sh overload [FLAGS]   what becomes of calls while backends die, are slow or overloaded
#   hack/bench.sh endpoints [FLAGS]  how long an Envoy takes to have an endpoint that has changed
#   hack/bench.sh idle [FLAGS]       what a hundred settled ExposedServices cost
#   hack/bench.sh scale [FLAGS]      what hundreds of ExposedServices cost one operator, and how fast it is with
#                                    them, on an API server of its own without a cluster (-n 10000, -others 50000)
#   hack/bench.sh peers [FLAGS]      how Flagger, Argo Rollouts and Headgate ship the same versions,
#                                    on a cluster of their own, which is ended afterwards
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/lib.sh

name=${1:?say which: failover, overload, endpoints, idle, scale or peers}
shift
mkdir -p "$cache/bin"

# peers FLAGS...: installs and removes the tools itself, one after the other.
peers() {
  export HEADGATE_CLUSTER=${HEADGATE_CLUSTER:-headgate-peers} GREETER_IMAGE=ghcr.io/headgate/greeter:peers PROMETHEUS_IMAGE
  local flagger argo
  say 'starting a local cluster (the first time it is built from source: a quarter of an hour)'
  trap 'cluster down' EXIT
  cluster up
  say 'building the images (the first time Prometheus, Flagger and Argo Rollouts are built from source: ten minutes)'
  cluster load ghcr.io/headgate/headgate:local ./cmd/headgate
  cluster load "$GREETER_IMAGE" ./test/grpcapp/cmd/greeter
  PROMETHEUS_IMAGE=$(cluster prometheus)
  flagger=$(cluster peer flagger)
  argo=$(cluster peer argo-rollouts)
  go build -o "$cache/bin/bench-peers" ./test/bench/peers
  cluster exec -- "$cache/bin/bench-peers" -flagger-chart "$flagger" -argo-manifests "$argo" "$@"
}

if [[ $name == peers ]]; then
  peers "$@"
  exit
fi
if [[ $name == scale ]]; then
  KUBEBUILDER_ASSETS=$(cluster assets)
  export KUBEBUILDER_ASSETS
  go build -o "$cache/bin/bench-scale" ./test/bench/scale
  exec "$cache/bin/bench-scale" "$@"
fi
export HEADGATE_CLUSTER=${HEADGATE_CLUSTER:-headgate} GREETER_IMAGE=ghcr.io/headgate/greeter:demo
start_headgate "$GREETER_IMAGE"
go build -o "$cache/bin/bench-$name" "./test/bench/$name"
go build -o "$cache/bin/kubectl-headgate" ./cmd/kubectl-headgate
export PATH=$cache/bin:$PATH
cluster exec -- "$cache/bin/bench-$name" "$@"
