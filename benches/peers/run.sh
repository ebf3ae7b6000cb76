#!/usr/bin/env bash
# Roomcast's `train` against the Python peer, on the same simulated readings, in turn.
#
#   benches/peers/run.sh [DEVICES] [ROUNDS]        default: 1000 devices, 3 rounds
#
# Needs the release binary (`make build`; ROOMCAST names another one) and Python 3.11 or later; the peer's packages
# go into a virtual environment of their own, in the versions of requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roomcast
roomcast=${ROOMCAST:-${CARGO_TARGET_DIR:-$cache/target}/release/roomcast}

. "$here/venv.sh"
exec "$venv/bin/python" "$here/compare.py" --roomcast "$roomcast" --devices "${1:-1000}" --rounds "${2:-3}"
