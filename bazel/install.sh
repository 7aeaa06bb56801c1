#!/bin/bash
# install.sh LIST...: the Debian packages of the lists that are not here yet.
set -euo pipefail

mapfile -t wanted < <(cat "$@")
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii  *//p' | sort -u))
((${#missing[@]})) || exit 0

root=()
if ((EUID)); then
    root=(sudo)
    if ! sudo -n true 2>/dev/null && ! { [[ -t 0 ]] && command -v sudo >/dev/null && sudo true; }; then
        echo >&2 "shoal: as root: apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
fi
install() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends "${missing[@]}"
}
echo >&2 "shoal: installing ${missing[*]}"
{ install || { "${root[@]}" apt-get update -q && install; }; } >&2
bazel shutdown 2>/dev/null || true  # a running server looked for libraries before they were here
