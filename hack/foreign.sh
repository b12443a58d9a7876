#!/usr/bin/env bash
# Fetches gRPC clients in other languages for the tests of the xDS server: Python's wheel of the C core, and Java. It prints the
# variables that the tests want, for `eval`, and says on standard error what it does.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/lib.sh

python=$cache/foreign/python
java=$root/test/foreign/java

# install PACKAGE... COMMAND: the Debian packages that bring a command, if it is not there.
install_for() {
  local command=$1
  shift
  if command -v "$command" >/dev/null; then return; fi
  say "installing $*" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

if [[ ! -x $python/bin/python ]]; then
  say 'gRPC for Python' >&2
  rm -rf "$python"
  python3 -m venv "$python" >&2 || {
    install_for no-such-command python3-venv
    python3 -m venv "$python" >&2
  }
fi
"$python/bin/pip" install --quiet --disable-pip-version-check --requirement test/foreign/python/requirements.txt >&2

install_for javac default-jdk-headless
install_for mvn maven
say 'gRPC for Java' >&2
mvn --quiet --batch-mode --file "$java/pom.xml" package dependency:copy-dependencies >&2

printf 'export HEADGATE_GRPC_PYTHON=%q\n' "$python/bin/python $root/test/foreign/python/client.py"
printf 'export HEADGATE_GRPC_JAVA=%q\n' "java -cp $java/target/client-1.jar:$java/target/dependency/* dev.headgate.Client"
