#!/usr/bin/env bash
# Runs a benchmark on the local cluster, which it starts and leaves up:
#
#   hack/bench.sh failover [FLAGS]   how long each stage of a failover takes
#   hack/bench.sh idle [FLAGS]       what a hundred settled ExposedServices cost
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/lib.sh

export HEADGATE_CLUSTER=${HEADGATE_CLUSTER:-headgate} GREETER_IMAGE=ghcr.io/headgate/greeter:demo
name=${1:?say which: failover or idle}
shift
mkdir -p "$cache/bin"
start_headgate "$GREETER_IMAGE"
go build -o "$cache/bin/bench-$name" "./test/bench/$name"
cluster exec -- "$cache/bin/bench-$name" "$@"
