#!/bin/bash
# install.sh [--prefix DIR] [--destdir DIR]: headers, archives, pkg-config and CMake files, the guide and examples for programs
# that are not built by Bazel, and the shoal command, below DIR (/usr/local); --destdir as `make install` knows it. What is there
# by these names is replaced.
set -euo pipefail

usage() {
    echo "usage: install [--prefix DIR] [--destdir DIR]"
    exit "$1"
}
prefix=/usr/local destdir=
while (($#)); do
    case $1 in
    --prefix=* | --destdir=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    --prefix | --destdir)
        (($# > 1)) && [[ -n $2 ]] || usage 2 >&2
        declare "${1#--}=$2"
        shift 2
        ;;
    --help) usage 0 ;;
    *) usage 2 >&2 ;;
    esac
done
from=${BUILD_WORKING_DIRECTORY:-$PWD}
source=$(dirname "$(readlink -f "$0")")/../..
built=$0.runfiles/shoal
[[ -d $built ]] || built=$(dirname "$0")/../.. # among the runfiles of another
cd "$built"
[[ $prefix == /* ]] || prefix=$from/$prefix
[[ -z $destdir || $destdir == /* ]] || destdir=$from/$destdir
to=$destdir$prefix

copy() { install -D -p -m "$1" "$2" "$3"; }
in_sed=$(sed 's/[&|\\]/\\&/g' <<<"$prefix")
filled() { sed -e "s|@PREFIX@|$in_sed|g" -e "s|@VERSION@|$(<tools/install/version.txt)|g" "$1"; }
fill() { filled "$1" | install -D -m 644 /dev/stdin "$2"; }

rm -rf "$to/include/shoal" "$to/lib/cmake/shoal" "$to/share/doc/shoal/"{docs,examples}
while read -r header; do copy 644 "$header" "$to/include/shoal/$header"; done < <(find core sync ipc -name '*.h')
copy 644 libshoal.a "$to/lib/libshoal.a"
while read -r archive; do
    room=$(basename "$(dirname "$archive")") layer=$(basename "$archive" .a)
    [[ ${layer#lib} == "$room" ]] || room+=_${layer#lib}
    copy 644 "$archive" "$to/lib/libshoal_$room.a"
done < <(find core sync ipc -name 'lib*.a' ! -name '*.pic.a')
for pc in tools/install/*.pc.in; do fill "$pc" "$to/lib/pkgconfig/$(basename "$pc" .in)"; done
for cmake in tools/install/*.cmake.in; do fill "$cmake" "$to/lib/cmake/shoal/$(basename "$cmake" .in)"; done
pages() { find docs examples \( -name '*.[ch]' ! -name tree_tool.c \) -o -name '*.md'; } # the tool is a test's, with a main of its own
while read -r page; do copy 644 "$source/$page" "$to/share/doc/shoal/$page"; done < <(cd "$source" && pages)
copy 755 tools/shoal/shoal "$to/bin/shoal"
copy 644 tools/shoal/shoal.1 "$to/share/man/man1/shoal.1"
copy 644 tools/shoal/shoal.bash "$to/share/bash-completion/completions/shoal"
copy 644 LICENSE "$to/share/doc/shoal/LICENSE"
echo "shoal $(<tools/install/version.txt) is in $to"
