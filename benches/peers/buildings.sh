#!/usr/bin/env bash
# All methods beside each other on real buildings; writes the tables of docs/ACCURACY.md.
#
#   benches/peers/buildings.sh DATA [WORK] [--methods NAME…] [--print]
#
# DATA is the folder of the readings; windows.py names the files and the days that are scored. Files that are absent are
# skipped with a notice. WORK keeps the forecasts of the peers, so that a run goes on where an earlier one ended. Needs the
# release binary (`make build`) and Python 3.10 or later; the peers' packages go into a virtual environment of their own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roomcast
roomcast=${ROOMCAST:-${CARGO_TARGET_DIR:-$cache/target}/release/roomcast}

if [[ -z ${1:-} || ! -d $1 ]]; then
    printf 'skipped: there is no folder of readings %s (make bench-buildings DATA=folder)\n' "${1:-}" >&2
    exit 0
fi
. "$here/venv.sh"
venv=$(environment requirements)
exec nice "$venv/bin/python" "$here/buildings.py" --roomcast "$roomcast" "$@"
