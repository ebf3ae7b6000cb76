#!/usr/bin/env bash
# Roomcast against its peers and against the limits of this machine, everything in turn in one run; writes docs/BENCHMARKS.md.
#
#   benches/peers/all.sh [SIZE] [SECTION…]
#
# SIZE is full (default: 1,000 devices, three rounds, ten minutes on two cores) or small (to see that everything works).
# Sections: training, forecasts, growth, limits. When some are named, or with `small`, the report goes to standard
# output. Needs the release binary (`make build`) and Python 3.10 or later; the peers' packages go into virtual environments
# of their own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roomcast
roomcast=${ROOMCAST:-${CARGO_TARGET_DIR:-$cache/target}/release/roomcast}

. "$here/venv.sh"
venv=$(environment requirements)
forest=$(environment requirements-forest)
exec "$venv/bin/python" "$here/report.py" --roomcast "$roomcast" --forest "$forest/bin/python" "$@"
