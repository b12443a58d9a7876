# Shared by the scripts: what they say and how they fetch their tools. To be sourced.
# shellcheck shell=bash

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache

source "$root/hack/environment.sh"

# say TEXT...: a line with the time since the script began.
say() {
  printf '[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

# tool NAME ARGS...: a Go program that hack/tools/go.mod pins.
tool() {
  go tool -modfile="$root/hack/tools/go.mod" "$@"
}

# cluster ARGS...: the local cluster's command, built if its sources changed. What it runs keeps its
# exit code, which `go run` would not.
cluster() {
  build_cluster_command || return
  "$cache/bin/cluster" "$@"
}

build_cluster_command() {
  mkdir -p "$cache/bin"
  go build -C "$root/test/cluster" -o "$cache/bin/cluster" .
}

# first is a prefix for whoever counts calls beside the cluster: its own delays would be counted as well. It asks
# for a processor before all others, and does without where it may not have one.
# shellcheck disable=SC2034 # for those who source this
first=(nice -n -10)

# start_headgate GREETER_IMAGE [HELM ARGUMENTS...]: starts the local cluster, with Envoy Gateway, loads Headgate and the
# sample service into it, and installs the Helm chart as a user would. On a cluster that has all this
# it brings only what changed. (It returns at the first failure even where `set -e` does not work.)
start_headgate() {
  local image=ghcr.io/headgate/headgate:local greeter=$1 build
  shift
  say 'starting a local cluster (the first time it is built from source: a quarter of an hour)'
  cluster up || return
  say 'building the images'
  cluster load "$image" ./cmd/headgate || return
  cluster load "$greeter" ./test/grpcapp/cmd/greeter || return
  # The hash of what is in the image: pods of another build under the same name are replaced.
  build=$(cluster status | awk -v image="$image" '$1 == image { print $2 }') || return
  say 'installing the Helm chart'
  cluster exec -- helm upgrade --install headgate "$root/charts/headgate" --namespace headgate-system --create-namespace \
    --set "image.repository=${image%:*},image.tag=${image##*:}" --set xds.enabled=true --set-string "podAnnotations.build=$build" \
    "$@" --wait --timeout 5m >/dev/null
}

# with_heartbeat WHAT COMMAND...: runs a command, and says every minute that it still does.
with_heartbeat() {
  local what=$1 beat status=0
  shift
  (
    trap 'kill "$pause" 2>/dev/null' TERM
    while true; do
      sleep 60 &
      pause=$!
      wait "$pause" || exit 0
      say "still at it: $what"
    done
  ) &
  beat=$!
  "$@" || status=$?
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  return "$status"
}

# need_c_compiler: the race detector needs one.
need_c_compiler() {
  if command -v "$(go env CC)" >/dev/null; then return; fi
  say 'installing a C compiler, which the race detector needs'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev
}
