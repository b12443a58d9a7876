#!/usr/bin/env bash
# Fails if anything generated is not current. It generates in a copy of the working tree and compares
# the two, so it needs no list of generated files, and changes nothing.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
source hack/environment.sh

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# What git tracks or would track, as it stands now; a tracked file may have been deleted.
git -c safe.directory='*' ls-files --cached --others --exclude-standard -z |
  while IFS= read -r -d '' file; do
    if [[ -f $file ]]; then printf '%s\0' "$file"; fi
  done >"$copy/files"

mkdir "$copy/before" "$copy/after"
tar --null --files-from="$copy/files" --create | tee >(tar --extract --directory="$copy/before") |
  tar --extract --directory="$copy/after"

if ! make -C "$copy/after" generate >"$copy/log" 2>&1; then
  cat "$copy/log"
  echo 'generate-check: make generate failed; its output is above.' >&2
  exit 1
fi

if ! diff --recursive --unified --new-file "$copy/before" "$copy/after" >"$copy/diff"; then
  # Paths as they are in the repository, and no more than a screenful or two.
  sed -e "s|$copy/before|a|g" -e "s|$copy/after|b|g" "$copy/diff" | head -n 120
  echo
  echo "generate-check: $(grep -c '^diff ' "$copy/diff") generated file(s) are not current; the difference is above (at most 120 lines)." >&2
  echo 'generate-check: run "make generate", look at the changes, and commit them.' >&2
  exit 1
fi
echo 'generate-check: everything generated is current.'
