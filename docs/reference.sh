#!/bin/bash
# reference.sh DIR: makes DIR/html, the reference of all public headers. A warning of Doxygen is an error.
set -euo pipefail
(($# == 1)) || { echo >&2 "usage: reference DIR"; exit 2; }
to=$1
[[ $to == /* ]] || to=${BUILD_WORKING_DIRECTORY:-$PWD}/$to
mkdir -p "$to"
{
    cat docs/Doxyfile
    echo "INPUT = core sync ipc"
    echo "STRIP_FROM_PATH = ."
    echo "OUTPUT_DIRECTORY = \"$to\""
    echo "INPUT_FILTER = \"awk -f $PWD/docs/reference.awk\""
} | doxygen -
echo "$to/html/files.html"
