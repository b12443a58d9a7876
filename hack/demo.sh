#!/usr/bin/env bash
# Shows Headgate at work:
#
#   hack/demo.sh         on a local cluster, which it starts and leaves up
#   hack/demo.sh down    ends that cluster
#
# With CLUSTER=current it uses the cluster that kubectl uses. That needs Envoy Gateway on it, and two
# images that it can pull: HEADGATE_IMAGE and GREETER_IMAGE. ENVOY_IMAGE names the Envoy of the third act,
# if not that of the Docker Hub.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/lib.sh

export HEADGATE_CLUSTER=${HEADGATE_CLUSTER:-headgate}
class=${GATEWAY_CLASS:-envoy-gateway}

main() {
  case ${1:-up}:${CLUSTER:-local} in
    up:local) local_demo ;;
    up:current) current_demo ;;
    down:local) cluster down ;;
    down:current) current_down ;;
    *)
      echo "demo: CLUSTER is '${CLUSTER:-}': leave it out for a local cluster, or set it to 'current' for kubectl's" >&2
      exit 2
      ;;
  esac
}

local_demo() {
  export GREETER_IMAGE=ghcr.io/headgate/greeter:demo
  start_headgate "$GREETER_IMAGE"
  build_demo
  say 'curtain up'
  cluster exec -- "${first[@]}" "$cache/bin/demo" -class "$class" -inside "go run ./test/cluster exec --"
}

# build_demo builds the demo, and the plugin of kubectl that it shows.
build_demo() {
  go build -o "$cache/bin/demo" ./test/demo
  go build -o "$cache/bin/kubectl-headgate" ./cmd/kubectl-headgate
  export PATH=$cache/bin:$PATH
}

current_demo() {
  need kubectl 'install it, or leave CLUSTER out for a local cluster'
  need helm 'install it, or leave CLUSTER out for a local cluster'
  need_image HEADGATE_IMAGE ./cmd/headgate
  need_image GREETER_IMAGE ./test/grpcapp/cmd/greeter
  kubectl get gatewayclass "$class" >/dev/null || {
    echo "demo: GatewayClass $class is not there: install Envoy Gateway, or name another class in GATEWAY_CLASS" >&2
    exit 1
  }
  say "installing Headgate on the cluster of $(kubectl config current-context)"
  helm upgrade --install headgate charts/headgate --namespace headgate-system --create-namespace \
    --set image.repository="${HEADGATE_IMAGE%:*}" --set image.tag="${HEADGATE_IMAGE##*:}" \
    --set xds.enabled=true --wait --timeout 3m
  build_demo
  say 'curtain up'
  KUBECONFIG=${KUBECONFIG:-$HOME/.kube/config} "$cache/bin/demo" -class "$class"
}

current_down() {
  need kubectl 'install it'
  need helm 'install it'
  kubectl delete namespace headgate-demo --ignore-not-found
  helm uninstall headgate --namespace headgate-system --ignore-not-found
  say 'The CRD of ExposedService is left, with the objects of others: kubectl delete crd exposedservices.headgate.dev removes it.'
}

need() {
  command -v "$1" >/dev/null || {
    echo "demo: $1 is missing: $2" >&2
    exit 1
  }
}

# need_image VARIABLE PACKAGE
need_image() {
  [[ -n ${!1:-} ]] || {
    echo "demo: $1 is not set: name an image of $2 that the cluster can pull, or leave CLUSTER out for a local cluster" >&2
    exit 1
  }
}

main "$@"
