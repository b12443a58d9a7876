#!/usr/bin/env bash
# Runs the tests:
#
#   hack/test.sh unit   unit, golden and API-server tests, with the race detector
#   hack/test.sh e2e    end-to-end tests on a local cluster of their own
#   hack/test.sh all    both
#   hack/test.sh long   what takes long: live calls of xDS clients, a death after each write, faults, the longer scenarios end to end
#
# With CLUSTER=current the end-to-end tests use kubectl's cluster. It has to have Envoy Gateway and
# Headgate, with the values in $values below, and GREETER_IMAGE names an image of the sample service that
# it can pull. PROMETHEUS_IMAGE names one of Prometheus, if not that of the Docker Hub. Without
# metrics-server the test of an autoscaler is skipped.
#
# It ends with a line "N passed, N failed, N skipped". The test runs are kept as JSON in .cache/test
# (.cache/test-long), and so is, when an end-to-end test fails, what the cluster looked like then.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/lib.sh

# Most tests with a Prometheus server name its address; one names a server of the platform, which is in its own namespace.
values=(--set 'prometheus.allowAddresses=true,prometheus.servers[0].name=e2e,prometheus.servers[0].url=http://prometheus.e2e-prom-versions:9090')

results=$cache/test
module=github.com/headgate/headgate
export HEADGATE_CLUSTER=headgate-test

# The end-to-end tests that `make test` leaves to `make test-long`: those that take more than half a
# minute, and those that look at a scenario of another test in one more way.
long="^Test($(paste -sd '|' <<'END'
ABadVersionIsRolledBack
ABadVersionIsRolledBackByTheReportsOfXDSClients
AChangedConfigMapIsShippedOnceAWebhookAgrees
ADeploymentAtRestIsHealthyToGitOpsTools
ADeploymentOfOnePodHasASecondOneBesideIt
AGoodVersionIsPromotedToXDSClientsAndLosesNoCall
APrimaryThatFailsInTheMiddleSuspendsTheRollout
APromotionThatTurnsOutBadIsTakenBack
AProtectedServiceHasTheStableVersionAloneInARollout
AQuotaInTheMiddleHoldsTheRolloutUntilItIsRaised
ARepairOfAVersionThatFailsItsCallsIsShipped
ARepairOfAVersionWithoutReadyPodsIsShipped
ATemplateInTheMiddleOfAPromotionGetsNoPod
AVersionThatHangsIsRolledBack
AVersionThatIsAsGoodAsFastIsPromoted
AVersionThatIsHalfAsSlowAgainIsRolledBack
AnAutoscalerInTheMiddleOfARolloutLosesNoCall
AnAutoscalerThatFollowsTheLoadKeepsTheLoadPerPodAlike
AnEvictedCanaryDelaysTheRolloutAndFailsNothing
AnOutageOfBothVersionsHoldsTheRollout
AnotherTemplateInTheMiddleIsShippedInstead
BothDownStaysAndRecovers
CheckThatNobodyPassesLosesNoCall
DeletedServiceKeepsServing
EnvoyGatewayDownDuringFailover
ErrorsOfBothBackendsSwitchNothing
FailingPrimariesAreLeftByWhatPrometheusCounts
FailoverOnMergedGateways
FailoverWithoutHeadgate
FlappingPrimariesAreHeldOff
HeadgateKilledAtAnyMomentOfRollouts
HeadgateKilledInTheMiddle
PodsAreStartedOnceAndNoEndpointChangesItsPlace
PodsThatCannotStartHoldTheRolloutAndFailNothing
PrometheusDownForAMinute
PrometheusSaysWhoIsFailedOver
PrometheusTellsTheVersionsApartByTheirPods
RemovalOfTheRolloutInTheMiddleLosesNoCall
RenamedPortsDecideNothing
RenamedPortsDecideNothingOverXDS
RequiredAntiAffinityOnAFullNodeWaitsWithTheSchedulersWords
ScaledToZeroAndBackTheProvedVersionComesFirst
ScalingDownToTheCanarysSizeLosesNoCall
ScalingInTheMiddleOfAStepKeepsTheLoadPerPodAlike
SomebodyAlwaysStandsBy
SomebodyAlwaysStandsByOverXDS
UndoAtRestBringsThePreviousVersionBackInOneStep
WhatIsNotTrackedStartsNoRollout
WhoResumesInTheMiddleLosesNoCall
WithoutHeadgateADeploymentThatRollsLosesNoCall
WithoutItsSourceARolloutHolds
WithoutSurgeThereAreNeverMorePodsThanReplicas
WithoutTrafficARolloutHoldsAndSaysSo
XDSClientsLoseNoCallOfLivingEndpoints
XDSClientsNeedNoHeadgate
END
))\$"
# After a restart of the API server whoever watches it catches up kind by kind, for half a minute:
# nothing else is tested in that time, and these come last.
restarts=^TestAPIServerRestarted

main() {
  local kind=${1:-all} status=0
  if [[ $kind == long ]]; then results=$cache/test-long; fi
  rm -rf "$results"
  mkdir -p "$results" "$cache/bin"
  case $kind in
    unit) unit || status=1 ;;
    e2e) e2e short || status=1 ;;
    all)
      unit || status=1
      e2e short || status=1
      ;;
    long)
      soak || status=1
      e2e long || status=1
      ;;
    *)
      sed -n '4,7s/^# *//p' "$0" >&2
      exit 2
      ;;
  esac
  echo
  say 'all test runs together:'
  go run ./hack/testcount "$results"/*.json || status=1
  exit "$status"
}

# unit runs every package of the modules that have tests but the end-to-end ones.
unit() {
  need_c_compiler
  say 'API server, Helm and Envoy for the tests (the first time they are built from source: minutes)'
  local assets tools
  assets=$(cluster assets) || { failed 'building the API server'; return 1; }
  tools=$(cluster bin) || { failed 'building Helm and Envoy'; return 1; }

  say 'unit, golden and API-server tests (the first time with the race detector: minutes of compiling)'
  local packages status=0
  packages=$(go list ./... | grep -vE "^$module/(test/e2e|test/live$|test/bench/scale$|test/bench/judge/experiment$|failover$|rollout$|rollout/judge$)") || { failed 'listing the packages'; return 1; }
  # Tests wait for an API server, Envoys and clients, so that there are more packages at a time than processors. Collecting garbage less
  # often, in compilers and API servers too, costs memory and saves a tenth of the time.
  # shellcheck disable=SC2086 # one word for each package
  GOGC=400 KUBEBUILDER_ASSETS=$assets HEADGATE_ENVOY=$tools/envoy PATH=$tools:$PATH with_heartbeat 'unit tests' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/unit.json" \
    -- -race -short -p 3 -timeout 40m $packages || status=1

  # The deciders and the judge start no goroutine, so that the race detector has nothing to find in them but in the tests of the controllers,
  # which call them; without it they take a tenth of the time. The cost of one more ExposedService is counted in another process, from which
  # the race detector would take the processors.
  say 'every history of the deciders, every experiment of the judge, what one more ExposedService costs among many'
  KUBEBUILDER_ASSETS=$assets with_heartbeat 'histories' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/histories.json" \
    -- -timeout 20m ./failover ./rollout ./rollout/judge ./test/bench/judge/experiment ./test/bench/scale || status=1

  say 'tests of the local cluster'
  (
    cd test/cluster
    with_heartbeat 'tests of the local cluster' \
      tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/cluster.json" \
      -- -timeout 20m ./...
  ) || status=1

  say 'what docs/gitops.md gives people to copy'
  (
    cd test/gitops
    with_heartbeat 'tests of the page' \
      tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/gitops.json" \
      -- -timeout 20m ./page
  ) || status=1
  return "$status"
}

# soak runs what takes long of the packages.
soak() {
  local assets tools parts status=0
  assets=$(cluster assets) || { failed 'building the API server'; return 1; }
  tools=$(cluster bin) || { failed 'building Envoy'; return 1; }
  parts=$(tests_in_parts ./controllers) || { failed 'finding the tests of rollouts'; return 1; }
  # `make test` has a part of their cases, with the race detector; these are the others.
  say 'controllers: an operator that dies after each write of a rollout, and what becomes of a rollout in each of its phases, in the other mode'
  HEADGATE_TESTS=rest KUBEBUILDER_ASSETS=$assets with_heartbeat 'controllers' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/controllers.json" \
    -- -timeout 20m -run "$parts" ./controllers || status=1

  # It chooses anew each time, so that no result of before may stand for it.
  say 'faults: deaths, refusals, broken watches, lies, two leaders, bad tenants, ten thousand generated operations'
  GOGC=400 KUBEBUILDER_ASSETS=$assets HEADGATE_FAULTS_FIGURES=$results/faults.txt with_heartbeat 'faults' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/faults.json" \
    -- -count=1 -timeout 40m ./test/faults || status=1
  cat "$results/faults.txt" || status=1

  say 'gRPC clients in other languages (the first time they are fetched: minutes)'
  local foreign
  foreign=$(hack/foreign.sh) || { failed 'fetching gRPC clients in other languages'; status=1; }
  eval "$foreign"

  say 'xDS clients under live calls, with the race detector'
  HEADGATE_ENVOY=$tools/envoy with_heartbeat 'live calls' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/live.json" \
    -- -race -short -timeout 20m ./test/live || status=1

  # With the race detector it is a few seconds of it, because an Envoy beside it has no processor left.
  say 'changes of endpoints for a minute, under live calls, near and far'
  HEADGATE_ENVOY=$tools/envoy with_heartbeat 'changes of endpoints' \
    tool gotestsum --format pkgname-and-test-fails --hide-summary output,skipped --jsonfile "$results/churn.json" \
    -- -timeout 20m -parallel 4 -run 'TestFiftyChangesOfEndpointsASecond|TestClientsThatAreFarAwayFollow' ./test/live || status=1
  return "$status"
}

# tests_in_parts FOLDER: a pattern of the tests of a package that have some of their cases in the short run alone. It fails if there
# are none.
tests_in_parts() {
  awk '/^func / { name = "" }
    /^func Test/ { split($2, words, "("); name = words[1] }
    name && /(inBothModes|inModes|eachMiddleOf|runs)\(/ { print name; found = 1 }
    END { exit !found }' "$1"/*_test.go | sort -u | paste -sd '|' | sed 's/.*/^(&)$/'
}

# e2e WHICH: the end-to-end tests, `short` or `long`.
e2e() {
  local which=$1 reason status=0
  build_cluster_command || { failed "building the cluster's command"; return 1; }
  if [[ ${CLUSTER:-} == current ]]; then
    e2e_on_current "$which" || status=1
  elif ! reason=$(cluster check 2>&1); then
    say "skipping the end-to-end tests. $reason"
    skip_e2e "$which" "$reason"
  else
    trap 'cluster down || true' EXIT
    e2e_on_local "$which" || status=1
    if [[ $status != 0 ]]; then collect_diagnostics || true; fi
    cluster down || status=1
    trap - EXIT
  fi
  if [[ $status != 0 && ! -s $results/e2e.json ]]; then failed 'preparing the end-to-end tests'; fi
  return "$status"
}

# e2e_on_local starts a cluster, installs Headgate on it as a user would, and runs the tests in the
# cluster's network. (`set -e` does not work in a function whose status is asked for.)
e2e_on_local() {
  export GREETER_IMAGE=ghcr.io/headgate/greeter:test CLUSTER_COMMAND=$cache/bin/cluster
  cluster down || return # what an interrupted run may have left
  start_headgate "$GREETER_IMAGE" "${values[@]}" || return
  say 'Prometheus for the tests that ask one (the first time it is built from source: minutes)'
  PROMETHEUS_IMAGE=$(cluster prometheus) || return
  export PROMETHEUS_IMAGE
  if [[ $1 == long ]]; then
    say 'metrics-server for the test of an autoscaler (the first time it is built from source: minutes)'
    cluster metrics-server || return
  fi
  run_e2e "$1" "$cache/bin/cluster" exec -- "${first[@]}"
}

e2e_on_current() {
  KUBECONFIG=${KUBECONFIG:-$HOME/.kube/config} run_e2e "$1"
}

# run_e2e WHICH PREFIX...: runs the end-to-end tests, with a prefix that reaches the cluster.
run_e2e() {
  local which=$1
  shift
  say 'building the end-to-end tests'
  go test -c -o "$cache/bin/e2e.test" ./test/e2e || return
  # The plugin of kubectl, which the tests of xDS clients start.
  go build -o "$cache/bin/kubectl-headgate" ./cmd/kubectl-headgate || return
  # What Argo CD and Flux think of a Deployment, with dependencies of its own (the first time: a minute of compiling).
  GOWORK=off go build -C test/gitops -o "$cache/bin/gitops-health" . || return
  say 'end-to-end tests'
  if [[ $which == short ]]; then
    e2e_tests e2e -test.skip "$long|$restarts" "$@"
    return
  fi
  e2e_tests e2e -test.run "$long" "$@" || return
  say 'end-to-end tests that restart the API server'
  e2e_tests e2e-restart -test.run "$restarts" "$@"
}

# e2e_tests NAME FLAG TESTS PREFIX...: runs those end-to-end tests that the flag selects.
e2e_tests() {
  local name=$1 flag=$2 tests=$3
  shift 3
  (
    cd test/e2e
    export PATH=$cache/bin:$PATH
    tool gotestsum --format testname --hide-summary output,skipped --jsonfile "$results/$name.json" \
      --raw-command -- go tool test2json -t -p "$module/test/e2e" \
      "$@" "$cache/bin/e2e.test" -test.v=test2json "$flag" "$tests" -test.parallel 4 -test.timeout 45m
  )
}

# failed STEP: counts a step without tests of its own as a failed test.
failed() {
  say "FAILED: $1"
  printf '{"Action":"fail","Package":"hack/test.sh","Test":"%s"}\n' "$1" >>"$results/steps.json"
}

# skip_e2e WHICH REASON: records those end-to-end tests as skipped.
skip_e2e() {
  local which=$1 reason=${2//\\/\\\\} name select=(grep -E "$long|$restarts")
  reason=${reason//\"/\\\"}
  reason=${reason//$'\n'/ }
  if [[ $which == short ]]; then select+=(-v); fi
  # The list ends with a line "ok PACKAGE". Without KUBECONFIG no cluster is touched.
  env -u KUBECONFIG go test -list . ./test/e2e | grep '^Test' | "${select[@]}" | while IFS= read -r name; do
    printf '{"Action":"output","Package":"%s","Test":"%s","Output":"%s"}\n' "$module/test/e2e" "$name" "$reason"
    printf '{"Action":"skip","Package":"%s","Test":"%s"}\n' "$module/test/e2e" "$name"
  done >"$results/e2e.json"
}

# collect_diagnostics writes down what the cluster looks like.
collect_diagnostics() {
  local folder=$results/diagnostics kinds
  kinds=exposedservices,gatewayclasses,gateways,grpcroutes,referencegrants,envoyproxies,backendtrafficpolicies,envoypatchpolicies,backends.gateway.envoyproxy.io,services,endpointslices
  mkdir -p "$folder"
  say "writing down what the cluster looks like: $folder"
  cluster status >"$folder/status.txt" 2>&1 || true
  cluster exec -- kubectl get "$kinds" --all-namespaces --output yaml --ignore-not-found >"$folder/objects.yaml" 2>"$folder/objects.err" || true
  cluster exec -- kubectl get events --all-namespaces --sort-by .lastTimestamp >"$folder/events.txt" 2>&1 || true
  cluster exec -- kubectl describe pods --all-namespaces >"$folder/pods.txt" 2>&1 || true
  cp -r "$(dirname "$(cluster kubeconfig)")/log" "$folder/log" || true
  cluster exec -- kubectl cluster-info dump --all-namespaces --output-directory "$folder/dump" >/dev/null 2>&1 || true
}

main "$@"
