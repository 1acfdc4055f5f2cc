#!/bin/sh
# Makes the directory that the image holds: a virtual environment with the wheel of this source and its locked
# libraries, all by hash. The Containerfile runs it; a test runs the same in a directory of its own.
#
# usage: build.sh TARGET [SCRATCH]     TARGET must be the path where it will stand: scripts name it.
set -eu

[ $# -ge 1 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
target=$1
scratch=${2:-$(mktemp -d)}
source=$(cd "$(dirname "$0")/../.." && pwd)
locks=$source/deploy/locks
python=${PYTHON:-python3}

echo "== tools, by hash"
"$python" -m venv "$scratch/tools"
"$scratch/tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$locks/build.txt"
uv=$scratch/tools/bin/uv

echo "== wheel, with the native extensions"
# In a copy, because building leaves files in the tree.
mkdir -p "$scratch/tree" "$scratch/wheel"
for part in pyproject.toml README.md schemas producers streams consumers deploy; do
    cp -R "$source/$part" "$scratch/tree/"
done
"$uv" build --quiet --wheel --no-build-isolation --python "$scratch/tools/bin/python" \
    --out-dir "$scratch/wheel" "$scratch/tree"

echo "== libraries, by hash"
"$python" -m venv --without-pip "$target"
set --
for lock in "$locks"/*.txt; do
    # Every worker's libraries; neither the embedded servers, nor what builds and tests, nor the optional language model.
    case $lock in */build.txt | */dev.txt | */likeness.txt | */local.txt) ;; *) set -- "$@" -r "$lock" ;; esac
done
"$uv" pip install --quiet --python "$target/bin/python" --require-hashes --only-binary :all: "$@"

echo "== ordersync"
"$uv" pip install --quiet --python "$target/bin/python" --no-deps --offline "$scratch"/wheel/*.whl
# The root file system is read-only later: nothing can be compiled then.
"$target/bin/python" -m compileall -q -j 0 "$target/lib"

echo "== check"
"$target/bin/python" -c '
from producers.cdc.native import _capture
from schemas import codec
assert codec.implementation == "native", codec.implementation
print("native:", _capture.__file__, codec.implementation)'
"$target/bin/ordersync" --version
"$target/bin/ordersync" --help >/dev/null
