#!/usr/bin/env bash
# Build the binaries with the Python of this machine: packaging/freeze.sh FOLDER
#
# Into FOLDER go `octoroute` (one file), `octoroute-folder/`, their SBOM, and the licences of what they contain; then both
# are tried. They are built in a fresh environment of exactly what packaging/requirements.txt locks, which is thrown away.
# $PYTHON names the Python, else it is /usr/bin/python3.11. The same sources, lock, Python and libraries of the machine
# give the same bytes, in whatever folder.
set -euo pipefail
mkdir -p "$1"
out=$(cd "$1" && pwd)
rm -rf "$out"/{octoroute,octoroute-folder,octoroute.cdx.json,THIRD_PARTY_LICENSES}
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 LC_ALL=C.UTF-8
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-315532800}"  # 1980, before which no zip archive goes

"${PYTHON:-/usr/bin/python3.11}" -m venv "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install --quiet --no-compile --no-deps --only-binary :all: --require-hashes \
    --requirement packaging/requirements.txt
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" .
"$python" -m pip install --quiet --no-compile --no-deps "$work"/octoroute-*.whl

"$python" -m PyInstaller --log-level WARN --distpath "$out" --workpath "$work/build" octoroute.spec

"$out/octoroute" --version
"$out/octoroute" --self-test
"$out/octoroute-folder/octoroute" --self-test
