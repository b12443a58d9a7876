# The environment of everything that is run here: all that a user may have set for other purposes, and that
# would change what these scripts do, is set anew. To be sourced; the Makefile does it for its recipes.
# What runs inside a local cluster's network gets one of its own besides: test/cluster/internal/environment.
# shellcheck shell=bash

# A relative cd might go somewhere else, and say so.
unset CDPATH

# The modules are used one at a time, as they are. Version control is not asked, because a checkout may
# belong to someone else. Of the user's flags those stay that say how much at once, and who may delete modules.
export GOWORK=off
unset GO111MODULE
headgate_flags=
for headgate_flag in ${GOFLAGS:-}; do
  case $headgate_flag in -p=* | -modcacherw | -modcacherw=*) headgate_flags="$headgate_flags$headgate_flag " ;; esac
done
export GOFLAGS="$headgate_flags-buildvcs=false"
unset headgate_flags headgate_flag

# Go and the local cluster keep what they build in the user's cache, which HOME or XDG_CACHE_HOME name. Where
# that cannot be written, it is in the checkout; and what is temporary is where it is by default.
headgate_usable() { [[ $1 == /* && -d $1 ]] && mkdir "$1/.headgate-$$" 2>/dev/null && rmdir "$1/.headgate-$$"; }
if ! headgate_usable "${XDG_CACHE_HOME:-}"; then unset XDG_CACHE_HOME; fi
if ! headgate_usable "${TMPDIR:-}"; then unset TMPDIR; fi
if ! headgate_usable "${HOME:-}"; then
  HOME=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)/.cache/home
  export HOME
  mkdir -p "$HOME"
fi
unset -f headgate_usable

# Tests of the API server have their own, whatever an operator's developer has set for other projects.
unset USE_EXISTING_CLUSTER

# On a local cluster none but its own kubeconfig, Gateway class and images count.
if [[ ${CLUSTER:-} != current ]]; then
  unset KUBECONFIG GATEWAY_CLASS ENVOY_IMAGE "${!HELM_@}"
fi
